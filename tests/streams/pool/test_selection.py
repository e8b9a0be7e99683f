"""Which listings a round takes, and what its files hold."""

import hashlib
import json
from pathlib import Path
from typing import Literal

import duckdb

from streams.pool import selection
from tests.streams.pool.world import (
    DAY_MS,
    LAMP,
    SCHEMAS,
    START_MS,
    World,
    prediction,
    request,
    review,
)


def chosen(
    world: World,
    k: int = 3,
    v: int = 1,
    by: Literal["gap", "deficit"] = "deficit",
    min_gap: float = 0.0,
) -> list[selection.Selected]:
    return selection.select(world.pool.con, "base", k, v, by, min_gap)


def test_the_largest_come_first_and_ties_go_by_listing_id(world: World) -> None:
    for listing, filled in (("d", 1), ("b", 0), ("c", 2), ("a", 1), ("e", 4)):
        world.sell(listing, filled)
    assert [row.listing_id for row in chosen(world)] == ["b", "a", "d", "c"]
    assert [row.listing_id for row in chosen(world, k=2, v=0)] == ["b", "a"]
    assert [row.listing_id for row in chosen(world, min_gap=0.75)] == ["b", "a", "d"]
    assert selection.fresh_count(world.pool.con, "base", 0.75) == 3
    assert [r[0] for r in world.rows("SELECT listing_id FROM pool")] == ["b", "a", "d", "c"]


def test_gap_and_deficit_rank_differently(world: World) -> None:
    """The model fills what the seller left blank: no gap, yet a deficit."""
    asked = request("other-half")
    answer = prediction(asked, 2)
    world.feed(asked, answer, review(answer, submitted={"Style": ["loft"], "Dimmable": ["no"]}))
    world.sell("mild", filled=3)
    assert [row.listing_id for row in chosen(world, by="gap")] == ["mild", "other-half"]
    assert [row.listing_id for row in chosen(world, by="deficit")] == ["other-half", "mild"]


def test_validation_is_chosen_by_hash_and_does_not_depend_on_arrival(world: World) -> None:
    listings = [f"l{number}" for number in range(8)]
    for listing in reversed(listings):
        world.sell(listing)
    rows = chosen(world, k=6, v=2)
    expected = sorted(listings, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:2]
    assert sorted(r.listing_id for r in rows if r.role == "validation") == sorted(expected)
    assert rows == chosen(world, k=6, v=2)


def test_an_illegal_submission_makes_no_deficit_and_is_left_out_of_the_file(
    world: World, tmp_path: Path
) -> None:
    asked = request("a", requested=["Colour", "Height"], images=["one.jpg"])
    answer = prediction(asked, requested=["Colour", "Height"])
    submitted = {"Colour": ["mauve"], "Height": ["30 cm"], "Style": ["loft"]}
    world.feed(asked, answer, review(answer, submitted=submitted))
    rows = chosen(world)
    assert [row.deficit for row in rows] == [0.5]
    [file] = selection.write_manifest(world.pool.con, rows, SCHEMAS, tmp_path / "m", "default", 7)
    assert hashlib.sha256(Path(file.path).read_bytes()).hexdigest() == file.sha256
    assert [p.name for p in (tmp_path / "m").iterdir()] == [Path(file.path).name]
    table = duckdb.sql(f"FROM '{file.path}'")
    assert set(table.types) == {"VARCHAR"}
    [row] = [dict(zip(table.columns, values, strict=True)) for values in table.fetchall()]
    assert row["title"] == "Lamp a"
    assert json.loads(row["values"]) == {"Height": ["30 cm"]}
    assert json.loads(row["images"]) == ["one.jpg"]
    wanted = [LAMP.by_name[name].model_dump(mode="json") for name in ("Colour", "Height")]
    assert json.loads(row["attributes"]) == wanted


def test_the_pool_is_bounded_by_rows_smallest_and_oldest_first(world: World) -> None:
    for day, (listing, filled) in enumerate((("old", 1), ("new", 1), ("big", 0), ("small", 3))):
        world.now_ms = START_MS + day
        world.sell(listing, filled)
    selection.prune(world.pool.con, max_rows=2, max_age_ms=DAY_MS)
    assert world.rows("SELECT listing_id FROM store.samples ORDER BY 1") == [("big",), ("new",)]
    assert world.rows("SELECT listing_id FROM store.reviews ORDER BY 1") == [("big",), ("new",)]


def test_the_pool_is_bounded_by_record_time_but_keeps_what_an_open_round_uses(
    world: World,
) -> None:
    world.sell_many(4)
    world.step()
    world.sell("old")
    world.now_ms = START_MS + 2 * DAY_MS
    world.sell("new")
    selection.prune(world.pool.con, max_rows=100, max_age_ms=DAY_MS)
    assert world.rows("SELECT count(*) FROM store.samples") == [(5,)]
    assert world.rows("SELECT listing_id FROM pool") == [("new",)]
