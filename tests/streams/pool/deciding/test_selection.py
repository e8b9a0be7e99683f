"""Which listings a round takes, and what its files hold."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest

from schemas import curation
from schemas.curation import Candidate, Selection
from streams.pool import manifest
from streams.pool.deciding import selection
from streams.pool.selected import Selected
from tests.streams.world import (
    DAY_MS,
    LAMP,
    SCHEMAS,
    START_MS,
    SUBMITTED,
    World,
    prediction,
    request,
    review,
)


def chosen(
    world: World,
    k: int = 4,
    by: Selection = "deficit",
    min_gap: float = 0.0,
) -> list[Selected]:
    return selection.select(world.pool.con, "base", k, by, min_gap, 0).train


def test_the_largest_come_first_and_ties_go_by_listing_id(world: World) -> None:
    for listing, filled in (("d", 1), ("b", 0), ("c", 2), ("a", 1), ("e", 4)):
        world.sell(listing, filled)
    assert [row.listing_id for row in chosen(world)] == ["b", "a", "d", "c"]
    assert [row.listing_id for row in chosen(world, k=2)] == ["b", "a"]
    assert [row.listing_id for row in chosen(world, min_gap=0.75)] == ["b", "a", "d"]
    assert selection.fresh_count(world.pool.con, "base", "deficit", 0.75).all == 3
    assert [r[0] for r in world.rows("SELECT listing_id FROM pool")] == ["b", "a", "d", "c"]


def test_gap_and_deficit_rank_differently(world: World) -> None:
    """The model fills what the seller left blank: no gap, yet a deficit."""
    asked = request("other-half")
    answer = prediction(asked, 2)
    world.feed(asked, answer, review(answer, submitted={"Style": ["loft"], "Dimmable": ["no"]}))
    world.sell("mild", filled=3)
    assert [row.listing_id for row in chosen(world, by="gap")] == ["mild", "other-half"]
    assert [row.listing_id for row in chosen(world, by="deficit")] == ["other-half", "mild"]


def test_ranked_by_edits_a_legal_but_wrong_prediction_counts(world: World) -> None:
    asked = request("wrong")
    answer = prediction(asked, 4, values={**SUBMITTED, "Colour": ["blue"], "Style": ["attic"]})
    world.feed(asked, answer, review(answer))
    world.sell("missing", filled=3)
    world.sell("accepted", filled=4)
    assert [row.listing_id for row in chosen(world, by="deficit")] == ["missing"]
    assert [row.listing_id for row in chosen(world, by="edits")] == ["wrong", "missing"]
    assert [row.listing_id for row in chosen(world, by="edits", min_gap=0.5)] == ["wrong"]
    assert selection.fresh_count(world.pool.con, "base", "edits", 0.0).all == 2
    assert world.rows("SELECT edits FROM samples WHERE listing_id = 'wrong'") == [(0.5,)]


@pytest.mark.parametrize("by", get_args(Selection))
def test_the_pool_chooses_as_the_pure_curation_does(tmp_path: Path, by: Selection) -> None:
    """The experiment, which has no pool, ranks by `schemas.curation`."""
    world = World(tmp_path, selection=by)
    rng = random.Random(by)
    events: list[Any] = []
    candidates = []
    for number in range(60):
        asked = request(f"l{rng.randrange(10**6)}-é{number}")
        answer = prediction(asked, values=some_values(rng))
        submission = review(answer, submitted=some_values(rng))
        events += [asked, answer, submission]
        sides = submission.submitted, answer.values
        candidates.append(Candidate(asked.listing_id, "Lamps", LAMP.attributes, *sides))
    world.feed(*events)
    best = [c.listing_id for c in curation.select(candidates, 30, by)]
    assert len(best) == 30
    assert [row.listing_id for row in chosen(world, k=30, by=by)] == best
    ranked = [r[0] for r in world.rows("SELECT listing_id FROM pool ORDER BY rank")]
    assert ranked == [c.listing_id for c in curation.select(candidates, 60, by)]
    world.pool.close()


@pytest.mark.parametrize("by", get_args(Selection))
def test_a_request_for_one_attribute_does_not_outrank_one_for_all(tmp_path: Path, by: Any) -> None:
    """A deficit of 1/1 teaches less than one of 3/4."""
    world = World(tmp_path, selection=by)
    world.sell("three of four", filled=1)
    asked = request("one of one", requested=["Colour"])
    answer = prediction(asked, requested=["Colour"])
    world.feed(asked, answer, review(answer))
    two = request("two of two", requested=["Colour", "Style"])
    answer = prediction(two, requested=two.requested)
    world.feed(two, answer, review(answer))
    best = ["three of four", "two of two", "one of one"]
    assert [row.listing_id for row in chosen(world, by=by)] == best
    assert world.rows("SELECT listing_id, asked, score, deficit FROM pool") == [
        ("three of four", 4, 0.75, 0.75),
        ("two of two", 2, 0.5, 1.0),
        ("one of one", 1, 0.25, 1.0),
    ]
    sides = SUBMITTED, dict[str, list[str]]()
    candidates = [
        Candidate(best[0], "Lamps", LAMP.attributes, SUBMITTED, {"Colour": ["red"]}),
        Candidate(best[1], "Lamps", LAMP.attributes[:2], *sides, asked_share=0.5),
        Candidate(best[2], "Lamps", LAMP.attributes[:1], *sides, asked_share=0.25),
    ]
    assert [c.listing_id for c in curation.select(candidates, 3, by)] == best
    world.pool.close()


def some_values(rng: random.Random) -> dict[str, list[str]]:
    """Right, otherwise written, wrong, illegal or missing."""
    choices = {
        "Colour": (["red"], ["blue"], ["mauve"], []),
        "Height": (["30 cm"], ["30.0 cm"], ["31 cm"], ["tall"], []),
        "Dimmable": (["yes"], ["no"], ["perhaps"], []),
        "Style": (["loft"], ["Loft."], ["attic"], []),
    }
    return {name: rng.choice(values) for name, values in choices.items()}


def test_an_illegal_submission_makes_no_deficit_and_is_left_out_of_the_file(
    world: World, tmp_path: Path
) -> None:
    asked = request("a", requested=["Colour", "Height"], images=["one.jpg"])
    answer = prediction(asked, requested=["Colour", "Height"])
    submitted = {"Colour": ["mauve"], "Height": ["30 cm"], "Style": ["loft"]}
    world.feed(asked, answer, review(answer, submitted=submitted))
    rows = chosen(world)
    assert [row.deficit for row in rows] == [0.5]
    place = tmp_path / "m" / "default-r7-train.parquet"
    file = manifest.write_manifest(world.pool.con, rows, SCHEMAS, "train", place)
    assert hashlib.sha256(Path(file.path).read_bytes()).hexdigest() == file.sha256
    assert [p.name for p in (tmp_path / "m").iterdir()] == [Path(file.path).name]
    table = duckdb.sql(f"FROM '{file.path}'")
    assert set(table.types) == {"VARCHAR"}
    [row] = [dict(zip(table.columns, values, strict=True)) for values in table.fetchall()]
    assert row["title"] == "Lamp a"
    assert json.loads(row["values"]) == {"Height": ["30 cm"]}
    assert json.loads(row["images"]) == ["one.jpg"]
    assert json.loads(row["origins"]) == {"Height": "typed"}
    assert json.loads(row["shown"]) is False
    wanted = [LAMP.by_name[name].model_dump(mode="json") for name in ("Colour", "Height")]
    assert json.loads(row["attributes"]) == wanted


def test_the_pool_is_bounded_by_rows_smallest_and_oldest_first(world: World) -> None:
    for day, (listing, filled) in enumerate((("old", 1), ("new", 1), ("big", 0), ("small", 3))):
        world.now_ms = START_MS + day
        world.sell(listing, filled)
    selection.prune(world.pool.con, "deficit", max_rows=2, max_age_ms=DAY_MS, heldout_most=1)
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
    selection.prune(world.pool.con, "deficit", max_rows=100, max_age_ms=DAY_MS, heldout_most=1)
    assert world.rows("SELECT count(*) FROM store.samples") == [(5,)]
    assert world.rows("SELECT listing_id FROM pool") == [("new",)]


def test_a_file_holds_what_the_seller_wrote_as_the_schema_writes_it(
    world: World, tmp_path: Path
) -> None:
    asked = request("a")
    written = {"Colour": ["Red"], "Height": ["30 CM"], "Dimmable": ["Yes"], "Style": ["N/A"]}
    world.feed(asked, prediction(asked), review(prediction(asked), submitted=written))
    place = tmp_path / "default-r1-train.parquet"
    file = manifest.write_manifest(world.pool.con, chosen(world), SCHEMAS, "train", place)
    [(values,)] = duckdb.sql(f"""SELECT "values" FROM '{file.path}'""").fetchall()
    mended = {"Colour": ["red"], "Height": ["30 cm"], "Dimmable": ["yes"]}
    assert json.loads(values) == mended
