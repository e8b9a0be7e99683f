"""A category's schema changes: the gaps follow, whoever was asked or answered under the former."""

import random
from pathlib import Path
from typing import Any

import pytest

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import ModelEventKind, Purpose
from streams.pool import outdated
from streams.replay.fingerprint import TABLES, Snapshot, take
from tests.streams.world import (
    LAMP,
    SCHEMAS,
    SUBMITTED,
    World,
    prediction,
    request,
    review,
)

K = ModelEventKind
MEASURED = "SELECT c_model, c_catalog, gap, deficit FROM store.samples ORDER BY ALL"
SHAPE = Attribute(name="Shape", type=AttributeType.ENUM, values=("round", "square"))
PLACES = {(f"listing.{topic}", 0): 0 for topic in ("requests", "predictions", "reviews")}


def lamps(*attributes: Attribute) -> CategorySchemas:
    return CategorySchemas([CategorySchema(category="Lamps", attributes=attributes)])


COLOUR, HEIGHT, DIMMABLE, STYLE = LAMP.attributes
WITH_SHAPE = lamps(*LAMP.attributes, SHAPE)
WITH_MAUVE = lamps(
    COLOUR.model_copy(update={"values": (*COLOUR.values, "Mauve")}), HEIGHT, DIMMABLE, STYLE
)
WITHOUT_STYLE = lamps(COLOUR, HEIGHT, DIMMABLE)


def change(world: World, schemas: CategorySchemas) -> None:
    """A running worker takes `schemas` over, and has measured by them when this returns."""
    world.schemas = schemas
    world.pool.take_schemas(schemas)
    while world.pool.remeasure():
        pass


def snapshot(world: World) -> Snapshot:
    return take(lambda sql: world.rows(sql), PLACES)


# ---------------------------------------------------------------------------- what becomes of a gap


def test_a_new_allowed_value_makes_an_invalid_prediction_valid_and_the_gap_falls(
    world: World,
) -> None:
    world.sell("a", filled=4, values={"Height": ["30 cm"]}, invalid={"Colour": " mauve"})
    assert world.rows(MEASURED) == [(0.25, 1.0, 0.75, 0.75)]
    change(world, WITH_MAUVE)
    assert world.rows(MEASURED) == [(0.5, 1.0, 0.5, 0.5)]


def test_no_schema_makes_an_answer_of_what_was_cut_off(world: World) -> None:
    invalid = {"Colour": " mauve"}
    world.sell("a", filled=4, values={"Height": ["30 cm"]}, invalid=invalid, cut=["Colour"])
    before = world.rows(MEASURED)
    change(world, WITH_MAUVE)
    assert world.rows(MEASURED) == before


def test_a_new_allowed_value_makes_what_the_seller_submitted_valid_and_the_gap_grows(
    world: World,
) -> None:
    asked = request("a")
    answer = prediction(asked)
    world.feed(asked, answer, review(answer, submitted={"Colour": ["Mauve"]}))
    assert world.rows(MEASURED) == [(0.0, 0.0, 0.0, 0.0)]
    change(world, WITH_MAUVE)
    assert world.rows(MEASURED) == [(0.0, 0.25, 0.25, 0.25)]


def test_a_new_attribute_raises_the_deficit(world: World) -> None:
    """The listing had it before the schema asked for it; the model was never asked."""
    asked = request("a")
    answer = prediction(asked, filled=4)
    world.feed(asked, answer, review(answer, submitted=SUBMITTED | {"Shape": ["round"]}))
    assert world.rows(MEASURED) == [(1.0, 1.0, 0.0, 0.0)]
    change(world, WITH_SHAPE)
    assert world.rows(MEASURED) == [(0.8, 1.0, pytest.approx(0.2), 0.2)]
    [(listing,)] = world.rows("SELECT listing_id FROM pool")
    assert listing == "a"


def test_a_removed_attribute_no_longer_counts(world: World) -> None:
    world.sell("a", filled=3)
    assert world.rows(MEASURED) == [(0.75, 1.0, 0.25, 0.25)]
    change(world, WITHOUT_STYLE)
    assert world.rows(MEASURED) == [(1.0, 1.0, 0.0, 0.0)]


def test_a_value_that_is_no_longer_allowed_is_missing_on_both_sides(world: World) -> None:
    world.sell("a", filled=1)
    only_blue = COLOUR.model_copy(update={"values": ("blue",)})
    change(world, lamps(only_blue, HEIGHT, DIMMABLE, STYLE))
    assert world.rows(MEASURED) == [(0.0, 0.75, 0.75, 0.75)]


def test_a_request_for_some_attributes_is_measured_on_those_that_are_left(world: World) -> None:
    asked = request("a", requested=["Colour", "Style"])
    answer = prediction(asked, requested=["Colour", "Style"], values={"Colour": ["red"]})
    world.feed(asked, answer, review(answer))
    change(world, lamps(*WITHOUT_STYLE["Lamps"].attributes, SHAPE))
    assert world.rows(MEASURED) == [(1.0, 1.0, 0.0, 0.0)]


def test_a_category_that_goes_takes_its_samples_along_and_brings_them_back(world: World) -> None:
    world.sell("a", filled=1)
    before = world.rows(MEASURED)
    change(world, CategorySchemas([]))
    assert world.rows(MEASURED) == []
    assert world.rows("SELECT under_other_schemas FROM status") == [(1,)]
    change(world, SCHEMAS)
    assert world.rows(MEASURED) == before


def test_what_arrives_under_the_former_schema_is_measured_by_the_one_in_force(
    world: World,
) -> None:
    change(world, WITH_SHAPE)
    asked = request("a", category_schema_hash=LAMP.hash)
    answer = prediction(asked, filled=4)
    world.feed(asked, answer, review(answer))
    assert world.rows(MEASURED) == [(0.8, 0.8, 0.0, 0.0)]
    assert world.rows("SELECT under_other_schemas FROM status") == [(1,)]


def test_what_a_producer_sends_without_a_hash_is_of_the_schema_in_force(world: World) -> None:
    """The answer names it; the request's row is found by the hash of what its sender wrote."""
    asked = request("a", category_schema_hash="")
    answer = prediction(asked, filled=1, category_schema_hash=LAMP.hash)
    world.feed(asked, answer, review(answer, category_schema_hash=""))
    assert world.rows(MEASURED) == [(0.25, 1.0, 0.75, 0.75)]
    assert world.rows("SELECT shown, accepted FROM acceptance_by_day") == [(1, 1)]
    assert world.rows("SELECT under_other_schemas FROM status") == [(0,)]


def test_of_two_answers_of_one_adapter_the_last_counts_whatever_they_were_made_under(
    world: World,
) -> None:
    world.sell("a", filled=4)
    change(world, WITH_SHAPE)
    order = request(
        "a",
        request_id="q2",
        category_schema_hash=WITH_SHAPE["Lamps"].hash,
        purpose=Purpose.BACKFILL,
        live_input_hash=request("a").input_hash(),
    )
    names = [a.name for a in WITH_SHAPE["Lamps"].attributes]
    answer = prediction(order, requested=names, values={"Shape": ["round"]})
    world.feed(answer)
    assert world.rows("SELECT prediction_id, c_model FROM store.samples") == [
        (answer.prediction_id, 0.2)
    ]


def test_acceptance_is_counted_by_the_schema_that_the_seller_saw(world: World) -> None:
    answer = prediction(request("a"), filled=4)
    change(world, WITHOUT_STYLE)
    world.feed(request("a"), answer, review(answer))
    assert world.rows("SELECT shown, accepted FROM acceptance_by_day") == [(4, 4)]


# ----------------------------------------------------------- bounded slices, crashes, many moments


def test_records_come_in_between_slices_and_each_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outdated, "SLICE", 2)
    world.sell_many(5)
    world.pool.take_schemas(WITH_SHAPE)
    assert world.pool.remeasure() == 3
    world.sell("between")
    assert world.pool.remeasure() == 1
    assert world.rows("SELECT outdated FROM status") == [(1,)]
    assert world.pool.remeasure() == 0
    assert {row[1] for row in world.rows(MEASURED)} == {0.8}
    assert len(world.rows(MEASURED)) == 6


def test_a_restart_in_between_goes_on_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outdated, "SLICE", 2)
    world.sell_many(5)
    world.pool.take_schemas(WITH_SHAPE)
    world.pool.remeasure()
    world.schemas = WITH_SHAPE
    world.reopen()
    assert world.pool.remeasure() == 1
    world.schemas = WITHOUT_STYLE  # changed once more while the worker was away
    world.reopen()
    assert world.rows("SELECT outdated FROM status") == [(5,)]
    while world.pool.remeasure():
        pass
    assert {row[1] for row in world.rows(MEASURED)} == {1.0}
    world.reopen()
    assert world.rows("SELECT outdated FROM status") == [(0,)]


def test_a_slice_that_fails_leaves_its_listings_outdated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sell("a")
    before = world.rows(MEASURED)
    world.pool.take_schemas(WITH_SHAPE)

    def fail(*_: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(outdated, "recompute", fail)
        with pytest.raises(RuntimeError, match="power cut"):
            world.pool.remeasure()
    assert world.rows(MEASURED) == before
    assert world.rows("SELECT outdated FROM status") == [(1,)]


def events_across_a_change() -> list[Any]:
    """Listings asked, answered and reviewed under two schemas, mixed, in their order by topic."""
    rng = random.Random(9)
    sold = []
    for number in range(12):
        schema = rng.choice([LAMP, WITH_SHAPE["Lamps"]])
        asked = request(f"l{number % 8}", request_id=f"q{number}", category_schema_hash=schema.hash)
        names = [a.name for a in schema.attributes]
        answer = prediction(
            asked, rng.randrange(5), requested=names, invalid={"Shape": rng.choice(["round", "?"])}
        )
        said = review(answer, submitted=SUBMITTED | {"Shape": [rng.choice(["square", "odd"])]})
        sold.append([asked, answer, said])
    heads = [iter(one) for one in sold]
    order = [head for head in heads for _ in range(3)]
    rng.shuffle(order)
    return [next(head) for head in order]


def test_whenever_a_worker_takes_a_change_over_the_samples_end_the_same(tmp_path: Path) -> None:
    events = events_across_a_change()
    seen = []
    for moment in range(0, len(events) + 1, 12):
        world = World(tmp_path / str(moment))
        world.feed(*events[:moment])
        world.pool.take_schemas(WITH_SHAPE)
        for start in range(moment, len(events), 6):
            world.feed(*events[start : start + 6])
        while world.pool.remeasure():
            pass
        seen.append(snapshot(world))
        world.pool.close()
    # A rebuilt pool has the new schemas from its first record on: moment 0.
    assert seen == [seen[0]] * len(seen)
    assert seen[0].listings["samples"].rows > 4


def test_pools_that_measure_by_other_schemas_say_so_and_differ_in_samples_alone(
    tmp_path: Path,
) -> None:
    events = events_across_a_change()
    worlds = [World(tmp_path / name) for name in ("before", "after")]
    worlds[1].pool.take_schemas(WITH_SHAPE)
    for world in worlds:
        world.feed(*events)
    before, after = map(snapshot, worlds)
    assert before.schemas != after.schemas
    tables = [one.tables(()) for one in (before, after)]
    assert {name for name in TABLES if tables[0][name] != tables[1][name]} == {"samples"}
    for world in worlds:
        world.pool.close()


def test_a_forgotten_listing_is_not_measured_again(world: World) -> None:
    world.sell("gone")
    world.sell("kept")
    world.pool.take_schemas(WITH_SHAPE)
    world.forget("gone")
    assert world.rows("SELECT outdated FROM status") == [(1,)]
    world.pool.remeasure()
    assert world.rows("SELECT listing_id FROM store.samples") == [("kept",)]


def test_a_file_from_before_refused_texts_were_kept_is_opened_and_measured(world: World) -> None:
    world.sell("a", filled=1)
    world.pool.con.execute("ALTER TABLE store.predictions DROP COLUMN invalid")
    world.reopen()
    change(world, WITH_MAUVE)
    assert world.rows(MEASURED) == [(0.25, 1.0, 0.75, 0.75)]
