"""A category or an attribute is renamed: the pool keeps what it has, under the names in force."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import ModelEventKind, RetrainRequest
from tests.streams.pool.test_schema_change import MEASURED, change, lamps, snapshot
from tests.streams.world import (
    LAMP,
    SCHEMAS,
    SUBMITTED,
    World,
    prediction,
    request,
    review,
    whole_way,
)

COLOUR, HEIGHT, DIMMABLE, STYLE = LAMP.attributes
COLOR = COLOUR.model_copy(update={"name": "Color", "aliases": ("Colour",)})
WITH_COLOR = lamps(COLOR, HEIGHT, DIMMABLE, STYLE)
LIGHTS = CategorySchema(
    category="Lights", attributes=(COLOR, HEIGHT, DIMMABLE, STYLE), aliases=("Lamps",)
)
RENAMED = CategorySchemas([LIGHTS])
ROW = "SELECT category, c_model, c_catalog, deficit, edits FROM samples ORDER BY listing_id"


def trained_on(world: World) -> list[dict[str, Any]]:
    """The rows of the round that begins now."""
    [ordered] = [e for e in world.tick() if isinstance(e, RetrainRequest)]
    [file] = [file for file in ordered.files if file.role == "train"]
    found = duckdb.sql(f"FROM read_parquet('{file.path}') ORDER BY listing_id")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def test_a_renamed_attribute_keeps_what_was_suggested_and_submitted(world: World) -> None:
    world.sell("a", filled=1)
    world.sell("b", filled=0)
    before = world.rows(MEASURED)
    change(world, WITH_COLOR)
    assert world.rows(MEASURED) == before


def test_without_an_alias_the_same_change_loses_it(world: World) -> None:
    world.sell("a", filled=1)
    change(world, lamps(COLOR.model_copy(update={"aliases": ()}), HEIGHT, DIMMABLE, STYLE))
    assert world.rows(MEASURED) == [(0.0, 0.75, 0.75, 0.75)]


def test_a_renamed_category_keeps_its_samples_under_the_name_in_force(world: World) -> None:
    world.sell("a", filled=1)
    [(_, *before)] = world.rows(ROW)
    change(world, RENAMED)
    assert world.rows(ROW) == [("Lights", *before)]
    change(world, SCHEMAS)
    assert world.rows(ROW) == [("Lamps", *before)]


def test_a_request_for_the_former_name_is_measured_on_the_attribute(world: World) -> None:
    asked = request("a", requested=["Colour", "Style"])
    answer = prediction(asked, requested=["Colour", "Style"], values={"Colour": ["red"]})
    world.feed(asked, answer, review(answer))
    change(world, RENAMED)
    assert world.rows(MEASURED) == [(0.5, 1.0, 0.5, 0.5)]


def test_a_refused_text_under_the_former_name_is_read_again(world: World) -> None:
    world.sell("a", values={}, invalid={"Colour": " mauve"})
    mauve = COLOR.model_copy(update={"values": ("red", "blue", "Mauve")})
    change(world, lamps(mauve, HEIGHT, DIMMABLE, STYLE))
    assert world.rows(MEASURED) == [(0.25, 1.0, 0.75, 0.75)]


def test_a_review_under_one_name_and_an_answer_under_the_other_belong_together(
    world: World,
) -> None:
    asked = request("a")
    answer = prediction(asked, filled=1)
    world.feed(asked, answer)
    change(world, RENAMED)
    values = SUBMITTED | {"Color": ["blue"], "Colour": []}
    world.feed(
        review(answer, category="Lights", category_schema_hash=LIGHTS.hash, submitted=values)
    )
    assert world.rows(ROW) == [("Lights", 0.25, 1.0, 0.75, 1.0)]
    # The seller saw `Colour: red` and submitted `Color: blue`.
    assert world.rows("SELECT shown, accepted FROM store.reviews") == [(1, 0)]


def test_a_round_trains_under_the_names_in_force(world: World) -> None:
    world.sell_many(4)
    change(world, RENAMED)
    rows = trained_on(world)
    assert {row["category"] for row in rows} == {"Lights"}
    assert "Color" in [a["name"] for a in json.loads(rows[0]["attributes"])]
    assert json.loads(rows[0]["values"])["Color"] == ["red"]


def test_an_order_to_measure_again_asks_under_the_names_in_force(world: World) -> None:
    asked = request("a", requested=["Colour"])
    answer = prediction(asked, requested=["Colour"])
    world.feed(asked, answer, review(answer))
    change(world, RENAMED)
    adapter = {"adapter_id": "new", "adapter_hash": "f" * 64, "adapter_uri": "file"}
    world.say(ModelEventKind.PROMOTED, **adapter)
    world.step()
    [order] = world.orders
    assert (order.category, order.requested) == ("Lights", ["Color"])
    world.feed(prediction(order, requested=["Color"], values={"Color": ["red"]}, **adapter))
    assert world.rows("SELECT c_model FROM samples WHERE adapter_id = 'new'") == [(1.0,)]


def test_whenever_a_rename_is_taken_over_the_samples_end_the_same(tmp_path: Path) -> None:
    seen, sold = [], whole_way("a", filled=1)
    for name in ("early", "late"):
        world = World(tmp_path / name)
        if name == "early":
            change(world, RENAMED)
        world.feed(*sold)
        if name == "late":
            change(world, RENAMED)
        seen.append(snapshot(world))
        world.pool.close()
    assert seen[0] == seen[1]


def test_a_file_from_before_renames_is_opened_and_keeps_its_samples(world: World) -> None:
    world.sell("a", filled=1)
    world.pool.con.execute("ALTER TABLE store.categories DROP COLUMN name")
    world.pool.con.execute("ALTER TABLE store.categories DROP COLUMN content")
    world.reopen()
    assert world.rows("SELECT category, name FROM store.categories") == [("Lamps", "Lamps")]
    assert world.rows("SELECT outdated FROM status") == [(0,)]
    world.sell("b", filled=1)
    assert len(world.rows(MEASURED)) == 2


# ------------------------------------------------------------------------------------- conditions


CORD = Attribute(name="Cord", type=AttributeType.TEXT, when={"Dimmable": ["yes"]})
WITH_CORD = lamps(*LAMP.attributes, CORD)


@pytest.mark.parametrize(
    ("dimmable", "expected"), [("yes", (0.0, 1.0, 1.0, 1.0)), ("no", (0.0, 1.0, 1.0, 1.0))]
)
def test_what_applies_by_the_sellers_values_is_counted(
    world: World, dimmable: str, expected: tuple[float, ...]
) -> None:
    world.schemas = WITH_CORD
    world.reopen()
    submitted = SUBMITTED | {"Dimmable": [dimmable]}
    if dimmable == "yes":
        submitted["Cord"] = ["2 m"]
    answer = prediction(request("a"), requested=[a.name for a in WITH_CORD["Lamps"].attributes])
    world.feed(request("a"), answer, review(answer, submitted=submitted))
    assert world.rows(MEASURED) == [expected]


def test_a_round_trains_only_on_what_applies(world: World) -> None:
    world.schemas = WITH_CORD
    world.reopen()
    names = [a.name for a in WITH_CORD["Lamps"].attributes]
    for listing, dimmable in zip("abcd", ("yes", "yes", "no", "no"), strict=True):
        answer = prediction(request(listing), requested=names)
        submitted = SUBMITTED | {"Dimmable": [dimmable], "Cord": ["2 m"]}
        world.feed(request(listing), answer, review(answer, submitted=submitted))
    asked = {
        row["listing_id"]: [a["name"] for a in json.loads(row["attributes"])]
        for row in trained_on(world)
    }
    assert asked == dict.fromkeys("ab", names) | dict.fromkeys("cd", names[:-1])
