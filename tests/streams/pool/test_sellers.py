"""Two sellers with one SKU have two listings, everywhere in the pool."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import duckdb
import pytest

from schemas.events import ListingRequest, ModelEventKind, RetrainRequest
from schemas.heldout import is_held_out
from schemas.identity import listing_key
from tests.streams.world import SHARE, World, prediction, request, review

K = ModelEventKind
RED = {"Colour": ["red"], "Height": ["30 cm"]}
BLUE = {"Colour": ["blue"], "Height": ["90 cm"]}


def sell(world: World, sku: str, seller: str | None, title: str, submitted: object) -> None:
    asked = request(
        sku, request_id=f"q-{seller}-{sku}", title=title, seller_id=seller, tags={"locale": "de"}
    )
    answer = prediction(asked)
    world.feed(asked, answer, review(answer, submitted=submitted))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A pool in which all of a round may be one seller's."""
    made = World(tmp_path, max_share_per_seller=1.0)
    yield made
    made.pool.close()


@pytest.fixture
def two(world: World) -> World:
    """Anna, Ben and nobody list 4711 each."""
    sell(world, "4711", "anna", "Lamp, red, 30 cm", RED)
    sell(world, "4711", "ben", "Lamp, blue, 90 cm", BLUE)
    sell(world, "4711", None, "Lamp, red", {"Colour": ["red"]})
    return world


def test_each_has_its_own_text_and_values_and_the_views_show_id_and_seller_apart(
    two: World,
) -> None:
    wanted = [
        ("4711", None, "Lamp, red", 0.25),
        ("4711", "anna", "Lamp, red, 30 cm", 0.5),
        ("4711", "ben", "Lamp, blue, 90 cm", 0.5),
    ]
    columns = "listing_id, seller_id, title, c_catalog"
    for view in ("samples", "pool"):
        order = "ORDER BY seller_id NULLS FIRST"
        assert two.rows(f"SELECT {columns} FROM {view} {order}") == wanted
        tags = two.rows(f"SELECT DISTINCT tags ->> '$.locale' FROM {view}")
        assert tags == [("de",)]


def test_a_round_takes_both_and_its_file_names_the_seller_and_the_tags(two: World) -> None:
    sell(two, "4712", "ben", "Another", BLUE)
    [event] = two.step()
    assert isinstance(event, RetrainRequest)
    rows = duckdb.sql(
        f"SELECT listing_id, seller_id, tags, title, values FROM '{event.files[0].path}'"
    ).fetchall()
    found = {key: (seller, json.loads(tags), json.loads(v)) for key, seller, tags, _, v in rows}
    assert found == {
        listing_key("4711", "anna"): ("anna", {"locale": "de"}, RED),
        listing_key("4711", "ben"): ("ben", {"locale": "de"}, BLUE),
        listing_key("4712", "ben"): ("ben", {"locale": "de"}, BLUE),
        "4711": (None, {"locale": "de"}, {"Colour": ["red"]}),
    }


def test_one_that_was_trained_on_leaves_the_other_to_be_taken(world: World) -> None:
    for sku in "abcd":
        sell(world, sku, "anna", f"Lamp {sku}", RED)
    world.step()
    world.train(K.REJECTED)
    world.step()
    for sku in "abcd":
        sell(world, sku, "ben", f"Lamp {sku}", RED)
    used = world.rows("SELECT DISTINCT seller_id, used FROM samples WHERE NOT held_out ORDER BY 1")
    assert used == [("anna", True), ("ben", False)]
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    assert event.round == 2


def test_one_is_held_out_and_the_other_is_not(world: World) -> None:
    key = next(s for n in count() if is_held_out(listing_key("4711", s := f"s{n}"), SHARE))
    sell(world, "4711", key, "Lamp, red, 30 cm", RED)
    sell(world, "4711", "anna", "Lamp, blue, 90 cm", BLUE)
    assert world.rows("SELECT seller_id FROM samples WHERE held_out") == [(key,)]


def test_one_is_forgotten_and_the_other_stays(two: World) -> None:
    two.forget(listing_key("4711", "anna"))
    assert two.rows("SELECT seller_id FROM samples ORDER BY 1 NULLS FIRST") == [(None,), ("ben",)]
    sell(two, "4711", "anna", "Lamp, red, 30 cm", RED)
    sell(two, "4711", "ben", "Lamp, blue, 91 cm", BLUE)
    for table in ("requests", "predictions", "reviews", "samples"):
        keys = two.rows(f"SELECT DISTINCT listing_id FROM store.{table} ORDER BY 1")
        assert keys == [("4711",), (listing_key("4711", "ben"),)]


def test_an_order_to_measure_again_has_its_seller_and_its_answer_finds_the_listing(
    world: World,
) -> None:
    for sku in "abcd":
        sell(world, sku, "anna", f"Lamp {sku}", RED)
    world.step()
    for seller in ("anna", "ben"):
        sell(world, "e", seller, f"Lamp of {seller}", RED if seller == "anna" else BLUE)
    adapter = world.train(K.PROPOSED)
    world.step()
    orders = [order for order in world.step() if isinstance(order, ListingRequest)]
    assert {(o.listing_id, o.seller_id, o.tags["locale"]) for o in orders} == {
        ("e", "anna", "de"),
        ("e", "ben", "de"),
    }
    keys = {row[0] for row in world.rows("SELECT listing_id FROM store.backfill_orders")}
    assert keys == {listing_key("e", "anna"), listing_key("e", "ben")}
    world.answer_orders(adapter)
    fresh = world.rows("SELECT seller_id, title FROM samples WHERE fresh AND NOT used ORDER BY 1")
    assert fresh == [("anna", "Lamp of anna"), ("ben", "Lamp of ben")]


def test_a_rebuilt_pool_has_the_same_two(two: World) -> None:
    before = two.rows("FROM store.samples ORDER BY listing_id")
    assert len(before) == 3
    two.pool.con.execute("DELETE FROM store.watermarks")
    for table in ("requests", "predictions", "reviews", "samples"):
        two.pool.con.execute(f"DELETE FROM store.{table}")
    two.pool.apply(two.fed)
    assert two.rows("FROM store.samples ORDER BY listing_id") == before


def test_a_review_without_the_seller_of_its_prediction_is_of_another_listing(world: World) -> None:
    asked = request("4711", seller_id="anna")
    answer = prediction(asked)
    world.feed(asked, answer, review(answer, seller_id=None))
    assert world.rows("FROM samples") == []


def test_a_file_from_before_sellers_is_opened_and_a_round_taken_from_it(tmp_path: Path) -> None:
    world = World(tmp_path, max_share_per_group=0.01)
    for name in ("walnut", "xenon", "brass", "jade"):
        sell(world, name, None, name * 3, RED)
    for table, columns in (
        ("requests", ("seller_id", "text_group")),
        ("samples", ("seller_id", "text_group", "asked", "asked_share")),
    ):
        for column in columns:
            world.pool.con.execute(f"ALTER TABLE store.{table} DROP COLUMN {column} CASCADE")
    world.reopen()
    assert world.rows("SELECT count(*) FROM pool") == [(4,)]
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    assert event.k == 4
    world.pool.close()
