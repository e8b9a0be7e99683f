"""Where each value comes from: from the review to the round's file, the views and the event."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.events import ModelEventKind
from tests.streams.world import SUBMITTED, World, prediction, request, review

K = ModelEventKind
COUNTS = 'SELECT round, typed, changed, accepted, "unknown", "values" FROM origins'


def sell(world: World, listing: str, shown: Mapping[str, list[str]], **changes: Any) -> None:
    """All four attributes are submitted; the model filled none."""
    asked = request(listing)
    answer = prediction(asked)
    world.feed(asked, answer, review(answer, shown=dict(shown), **changes))


def train_file(world: World) -> list[dict[str, Any]]:
    """The rows of the round's file, by listing."""
    [round_] = world.step()
    table = duckdb.sql(f"FROM '{round_.files[0].path}' ORDER BY listing_id")
    return [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]


def test_the_round_s_file_says_of_each_value_where_it_comes_from(world: World) -> None:
    sell(world, "a", {"Colour": ["red"], "Height": ["90 cm"], "Dimmable": []})
    sell(world, "b", {})
    sell(world, "c", {"Style": ["attic"]}, submitted={**SUBMITTED, "Colour": ["mauve"]})
    sell(world, "d", {"Height": ["30.0 CM"]})
    rows = train_file(world)
    assert [json.loads(row["origins"]) for row in rows] == [
        {"Colour": "accepted", "Height": "changed", "Dimmable": "typed", "Style": "typed"},
        dict.fromkeys(SUBMITTED, "typed"),
        {"Height": "typed", "Dimmable": "typed", "Style": "changed"},  # without what is illegal
        {"Colour": "typed", "Height": "accepted", "Dimmable": "typed", "Style": "typed"},
    ]
    assert [json.loads(row["shown"]) for row in rows] == [True, False, True, True]


def test_the_shares_by_origin_are_in_the_event_and_the_views(world: World) -> None:
    for listing in "abcd":
        sell(world, listing, {"Colour": ["red"], "Height": ["90 cm"]})
    assert world.rows(COUNTS) == [(None, 8, 4, 4, 0, 16)]
    [round_] = world.step()
    assert round_.origins == {"typed": 8, "changed": 4, "accepted": 4, "unknown": 0}
    assert world.rows(COUNTS) == [(1, 8, 4, 4, 0, 16), (None, 0, 0, 0, 0, 0)]
    shares = [(0.5, 0.25, 0.25)]
    assert world.rows("SELECT share_typed, share_changed, share_accepted FROM rounds") == shares
    world.train(K.FAILED)
    [again] = world.step()
    assert again.origins == round_.origins


def test_of_a_review_under_an_unknown_schema_only_what_was_typed_is_known(world: World) -> None:
    for listing in "abcd":
        sell(world, listing, {"Colour": ["red"]}, category_schema_hash="nobody has it")
    rows = train_file(world)
    assert json.loads(rows[0]["origins"]) == dict.fromkeys(SUBMITTED, "typed") | {
        "Colour": "unknown"
    }
    assert json.loads(rows[0]["shown"]) is None


@pytest.mark.parametrize(
    ("shown", "origin"), [({}, "typed"), ({"Colour": ["red"]}, "unknown")], ids=["none", "some"]
)
def test_of_a_pool_from_before_origins_were_kept_only_who_was_shown_nothing_is_known(
    tmp_path: Path, shown: dict[str, list[str]], origin: str
) -> None:
    world = World(tmp_path)
    for listing in "abcd":
        sell(world, listing, shown)
    for view in ("origins", "pool"):
        world.pool.con.execute(f"DROP VIEW main.{view}")
    world.pool.con.execute("ALTER TABLE store.reviews DROP COLUMN origins")
    world.reopen()
    counts = {"typed": 0, "unknown": 0, origin: 16}
    assert world.rows('SELECT typed, "unknown" FROM origins') == [tuple(counts.values())]
    rows = train_file(world)
    assert json.loads(rows[0]["origins"]) == dict.fromkeys(SUBMITTED, origin)
    assert json.loads(rows[0]["shown"]) is bool(shown)
    world.pool.close()
