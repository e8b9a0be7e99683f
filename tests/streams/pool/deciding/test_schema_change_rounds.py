"""Rounds and orders while a category's schema changes."""

import json

import duckdb
import pytest

from schemas.events import ModelEvent, ModelEventKind, RetrainRequest, Status
from streams.pool.deciding.conductor import ORDER_EVERY_MS
from tests.streams.pool.test_schema_change import MEASURED, WITH_SHAPE, WITHOUT_STYLE, change
from tests.streams.world import LAMP, SUBMITTED, World, prediction, request, review

K = ModelEventKind


def test_no_round_begins_before_all_is_measured_and_the_status_says_so(world: World) -> None:
    world.sell_many(4)
    world.pool.take_schemas(WITH_SHAPE)
    assert world.step() == []
    assert (
        world.conductor.status()
        == "collecting 0/4 · 4 listings to measure by a changed schema first"
    )
    assert world.rows("FROM pool") == []
    assert world.pool.remeasure() == 0
    [event] = world.step()
    assert isinstance(event, RetrainRequest)


def test_meanwhile_an_open_round_is_conducted(world: World) -> None:
    world.sell_many(4)
    world.step()
    world.train(K.PROPOSED)
    world.pool.take_schemas(WITH_SHAPE)
    [event] = world.step()
    assert isinstance(event, ModelEvent)
    assert event.kind is K.PROMOTED


def test_a_used_listing_stays_used_when_its_schema_changes(world: World) -> None:
    world.sell_many(4)
    world.step()
    world.train(K.REJECTED)
    change(world, WITH_SHAPE)
    assert len(world.rows(MEASURED)) == 5  # with the one to judge by
    assert world.rows("FROM pool") == []


def test_a_round_is_trained_on_the_attributes_of_the_schema_in_force(world: World) -> None:
    for number in range(4):
        asked = request(f"l{number}")
        answer = prediction(asked, filled=1)
        said = review(answer, submitted=SUBMITTED | {"Shape": ["round"]})
        world.feed(asked, answer, said)
    change(world, WITH_SHAPE)
    [event] = world.step()
    for file in event.files[:1]:
        for attributes, values in duckdb.sql(
            f"SELECT attributes, \"values\" FROM '{file.path}'"
        ).fetchall():
            assert [a["name"] for a in json.loads(attributes)][-1] == "Shape"
            assert json.loads(values)["Shape"] == ["round"]


def promote(world: World) -> str:
    world.sell_many(4)
    world.step()
    adapter = world.train(K.PROPOSED)
    world.step()
    return adapter


def test_an_order_asks_under_the_schema_in_force_and_its_answer_finds_the_listings_text(
    world: World,
) -> None:
    world.feed(asked := request("some", requested=["Colour", "Style"]))
    answer = prediction(asked, requested=["Colour", "Style"], values={"Colour": ["red"]})
    world.feed(answer, review(answer))
    adapter = promote(world)
    world.sell("later")
    change(world, WITHOUT_STYLE)
    orders = world.step()
    now = WITHOUT_STYLE["Lamps"]
    assert {order.category_schema_hash for order in orders} == {now.hash}
    assert {o.listing_id: o.requested for o in orders} == {"some": ["Colour"], "later": None}
    for order in orders:
        names = [a.name for a in now.select(order.requested)]
        changes = {"adapter_hash": adapter, "requested": names, "values": {"Colour": ["red"]}}
        world.feed(prediction(order, **changes))
    assert world.rows(
        "SELECT listing_id, request_id, c_model, c_catalog FROM store.samples "
        f"WHERE adapter_hash = '{adapter}' ORDER BY 1"
    ) == [("later", "q-later", pytest.approx(1 / 3), 1.0), ("some", "q-some", 1.0, 1.0)]


def test_an_order_for_a_request_without_a_hash_names_the_one_in_force_and_finds_its_text(
    world: World,
) -> None:
    world.feed(asked := request("some", category_schema_hash=""))
    answer = prediction(asked, filled=3, category_schema_hash=LAMP.hash)
    world.feed(answer, review(answer, category_schema_hash=""))
    adapter = promote(world)
    [order] = world.step()
    assert (order.listing_id, order.category_schema_hash) == ("some", LAMP.hash)
    world.feed(prediction(order, filled=1, adapter_hash=adapter))
    assert world.rows(
        f"SELECT request_id, c_model FROM store.samples WHERE adapter_hash = '{adapter}'"
    ) == [("q-some", 0.25)]


def test_an_order_that_failed_under_the_former_schema_is_sent_anew_under_the_new_one_once(
    world: World,
) -> None:
    promote(world)
    world.sell("later")
    [first] = world.step()
    world.feed(prediction(first, status=Status.FAILED, error="made under another schema"))
    assert world.step() == []
    change(world, WITH_SHAPE)
    world.now_ms += ORDER_EVERY_MS
    [second] = world.step()
    assert second.request_id != first.request_id
    assert second.category_schema_hash == WITH_SHAPE["Lamps"].hash
    world.feed(prediction(second, status=Status.FAILED))
    assert world.step() == []
