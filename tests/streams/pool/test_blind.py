"""Sellers who were shown nothing: their labels are marked and preferred, and their answers are no
measure of the champion."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.events import (
    BLIND_ADAPTER,
    ListingPrediction,
    ListingRequest,
    ModelEventKind,
    Purpose,
    RetrainRequest,
)
from streams.pool import heldout
from streams.pool.deciding import selection
from streams.pool.spread import Shares
from tests.streams.world import World, begun, held_out_id, prediction, promoted, request, review

K = ModelEventKind
BLIND: dict[str, Any] = {
    "adapter_id": BLIND_ADAPTER,
    "adapter_hash": BLIND_ADAPTER,
    "arms": {"first": "none"},
}
MARKS = "SELECT listing_id, blind, arms FROM store.samples WHERE NOT held_out ORDER BY ALL"


def sell_blind(world: World, listing: str, **changes: Any) -> ListingPrediction:
    return world.sell(listing, **BLIND | changes)


def rows_of(event: RetrainRequest, role: str) -> list[tuple[str, bool]]:
    [file] = [file for file in event.files if file.role == role]
    found = duckdb.sql(f"SELECT listing_id, blind FROM '{file.path}'").fetchall()
    return [(listing, json.loads(blind)) for listing, blind in found]


# --------------------------------------------------------------------------------------- the marks


def test_a_sample_says_whether_its_review_was_blind_and_in_which_arms_its_seller_was(
    world: World,
) -> None:
    sell_blind(world, "a")
    world.sell("b", 2, arms={"first": "today"})
    world.sell("c", 2)
    assert world.rows(MARKS) == [
        ("a", True, '{"first":"none"}'),
        ("b", False, '{"first":"today"}'),
        ("c", False, None),
    ]
    assert world.rows(
        "SELECT listing_id, blind, arms ->> 'first' FROM samples WHERE listing_id <> 'c' ORDER BY 1"
    ) == [("a", True, "none"), ("b", False, "today")]


def test_measured_again_under_the_champion_it_keeps_the_marks_of_its_review(world: World) -> None:
    sell_blind(world, "a")
    again = request("a", request_id="again", purpose=Purpose.BACKFILL)
    world.feed(prediction(again, 2))
    assert world.rows("SELECT adapter_hash, blind, arms ->> 'first' FROM samples ORDER BY 1") == [
        ("base", True, "none"),
        (BLIND_ADAPTER, True, "none"),
    ]


@pytest.mark.parametrize("blind_first", [True, False])
def test_labels_that_a_model_has_ever_touched_are_not_blind(
    world: World, blind_first: bool
) -> None:
    shown, blind = request("a", request_id="shown"), request("a", request_id="blind")
    answers = [prediction(shown, 2), prediction(blind, **BLIND)]
    if blind_first:
        answers.reverse()
    for answer in answers:
        world.now_ms += 1
        world.feed(shown, blind, answer, review(answer))
    assert {blind for _, blind, _ in world.rows(MARKS)} == {False}


def test_a_review_of_an_answer_that_the_pool_does_not_have_is_not_blind(world: World) -> None:
    asked = request("a")
    world.feed(asked, prediction(asked, **BLIND))
    world.feed(review(prediction(asked, prediction_id="other"), shown={}))
    assert [blind for _, blind, _ in world.rows(MARKS)] == [False]


def test_what_its_seller_submitted_is_typed_and_the_manifest_says_that_it_was_blind(
    world: World,
) -> None:
    answers = [sell_blind(world, f"a{n}") for n in range(2)]
    for answer in answers:
        again = {"request_id": f"again-{answer.listing_id}", "purpose": Purpose.BACKFILL}
        world.feed(prediction(request(answer.listing_id, **again)))
    world.sell("b", 1)
    world.sell("c", 1)
    event = begun(world)
    assert rows_of(event, "train") == [("a0", True), ("a1", True), ("b", False), ("c", False)]
    assert event.origins == {"typed": 14, "changed": 0, "accepted": 2, "unknown": 0}


def test_a_file_from_before_the_marks_is_measured_anew(world: World) -> None:
    sell_blind(world, "a")
    con = world.pool.con
    con.execute("UPDATE store.samples SET blind = NULL, arms = NULL")
    con.execute("UPDATE store.meta SET value = '3' WHERE name = 'measures'")
    world.reopen()
    while world.pool.remeasure():
        pass
    assert world.rows(MARKS) == [("a", True, '{"first":"none"}')]


# ----------------------------------------------------------------------- no measure of the champion


def test_a_blind_answer_counts_for_no_round_whatever_its_deficit(world: World) -> None:
    for number in range(8):
        sell_blind(world, f"a{number}")
    assert world.rows("FROM pool") == []
    assert not any(isinstance(event, RetrainRequest) for event in world.step())


@pytest.mark.parametrize("adapter", [BLIND_ADAPTER, "base+example", "endpoint:gpt", "base"])
def test_a_listing_that_something_else_answered_is_measured_again_under_the_champion(
    world: World, adapter: str
) -> None:
    champion = promoted(world)
    world.sell("a", adapter_id=adapter, adapter_hash=adapter, arms={"first": "other"})
    orders = [event for event in world.step() if isinstance(event, ListingRequest)]
    assert [(order.listing_id, order.adapter_hash) for order in orders] == [("a", champion)]
    world.answer_orders(champion, filled=1)
    assert world.rows("SELECT listing_id, adapter_hash FROM pool") == [("a", champion)]


def test_before_the_first_round_too(world: World) -> None:
    sell_blind(world, "a")
    [order] = world.step()
    assert (order.listing_id, order.adapter_hash) == ("a", "base")


def test_the_best_are_still_ordered_first(tmp_path: Path) -> None:
    world = World(tmp_path, k=4, backfill_factor=1)
    champion = promoted(world)
    for number, filled in enumerate((3, 1, 2, 3)):
        world.sell(f"s{number}", filled)
    sell_blind(world, "z")
    orders = [event.listing_id for event in world.step() if isinstance(event, ListingRequest)]
    assert orders == ["z", "s1", "s2", "s0"]
    assert champion != "base"


def test_figures_of_acceptance_leave_blind_answers_out(world: World) -> None:
    sell_blind(world, "a")
    world.sell("b", 2)
    assert world.rows("SELECT adapter_id, reviews, shown FROM acceptance_by_day") == [
        ("base", 1, 2)
    ]
    assert world.rows("SELECT DISTINCT adapter_id FROM attribute_edits") == [("base",)]


# ------------------------------------------------------------------------- what judges is preferred


def judges(world: World, blind: int, shown: int) -> None:
    """So many held-out listings are reviewed; the blind ones first."""
    world.to_hold_out = 0
    for number in range(blind + shown):
        world.now_ms += 1
        marks = BLIND if number < blind else {}
        world.sell(held_out_id(number), filled=3, **marks)


def test_where_enough_are_blind_they_alone_judge_the_newest_first(tmp_path: Path) -> None:
    world = World(tmp_path, heldout_least=2, heldout_most=3)
    judges(world, blind=4, shown=5)
    world.sell_many(4)
    event = begun(world)
    assert rows_of(event, "heldout") == [(held_out_id(n), True) for n in (3, 2, 1)]
    assert event.blind_held_out == 3
    assert world.rows("SELECT blind_held_out FROM rounds") == [(3,)]


def test_else_the_blind_ones_come_first_and_then_the_newest_others(tmp_path: Path) -> None:
    world = World(tmp_path, heldout_least=3, heldout_most=4)
    judges(world, blind=2, shown=5)
    world.sell_many(4)
    event = begun(world)
    expected = [(held_out_id(n), n < 2) for n in (1, 0, 6, 5)]
    assert rows_of(event, "heldout") == expected
    assert event.blind_held_out == 2


def test_without_a_blind_one_the_newest_judge(tmp_path: Path) -> None:
    world = World(tmp_path, heldout_least=2, heldout_most=3)
    judges(world, blind=0, shown=5)
    world.sell_many(4)
    event = begun(world)
    assert rows_of(event, "heldout") == [(held_out_id(n), False) for n in (4, 3, 2)]
    assert event.blind_held_out == 0


def test_blind_ones_of_one_seller_alone_do_not_judge_alone(tmp_path: Path) -> None:
    """Of one seller a share judges: with less than enough of them the others come after them."""
    world = World(tmp_path, heldout_least=2, heldout_most=4, heldout_share=0.999)
    for number in range(4):
        asked = request(f"l{number}", seller_id="one")
        answer = prediction(asked, **BLIND)
        world.feed(asked, answer, review(answer))
    shares = Shares(seller=0.25)
    assert not heldout.blind_alone(world.pool.con, 4, 2, shares)
    assert heldout.blind_alone(world.pool.con, 4, 2, Shares())


def test_blind_ones_that_are_alike_do_not_keep_a_round_waiting_for_ever(tmp_path: Path) -> None:
    """Titles are compared only when they are chosen: where too few are left, the others join."""
    world = World(tmp_path, heldout_least=3, heldout_most=10, max_share_per_group=0.1)
    world.to_hold_out = 0
    titles = ["Ceramic lamp, 300 ml", "Steel pan", "Wool scarf", "Oak chair", "Tin soldier"]
    for number in range(8):
        title = f"{titles[0]} {'abcd'[number]}" if number < 4 else titles[number - 3]
        asked = request(held_out_id(number), title=title)
        answer = prediction(asked, **(BLIND if number < 4 else {}))
        world.feed(asked, answer, review(answer))
    for number, title in enumerate(["Red box", "Green mug", "Blue bag", "Tall vase"]):
        asked = request(f"l{number}", title=title)
        answer = prediction(asked)
        world.feed(asked, answer, review(answer))
    event = begun(world)
    assert [blind for _, blind in rows_of(event, "heldout")] == [True, False, False, False, False]


def test_a_further_look_says_how_many_were_blind(tmp_path: Path) -> None:
    world = World(tmp_path, heldout_least=2, heldout_most=4)
    judges(world, blind=0, shown=2)
    world.sell_many(4)
    begun(world)
    world.train(K.CHALLENGER)
    for number in range(2, 4):
        world.now_ms += 1
        world.sell(held_out_id(number), filled=3, **BLIND)
    look = begun(world)
    assert (look.look, look.blind_held_out) == (2, 2)
    assert world.rows("SELECT blind_held_out FROM rounds") == [(2,)]


def test_the_pool_lets_go_of_the_blind_ones_last(world: World) -> None:
    judges(world, blind=2, shown=4)
    selection.prune(world.pool.con, "deficit", 3, 10**12, heldout_most=3)
    kept = {row[0] for row in world.rows("SELECT listing_id FROM store.samples")}
    assert kept == {held_out_id(0), held_out_id(1), held_out_id(5)}
