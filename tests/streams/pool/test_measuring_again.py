"""The rolling pool: what it lets go of, and how listings are measured again after a promotion."""

import random
from pathlib import Path
from typing import Any

import pytest

from schemas.events import ListingRequest, ModelEventKind, Purpose, RetrainRequest, Status
from streams.pool.deciding.backfill import order, outstanding
from streams.pool.deciding.selection import prune
from tests.streams.world import (
    DAY_MS,
    SUBMITTED,
    World,
    prediction,
    promoted,
    request,
    review,
)

K = ModelEventKind
LEFT = "SELECT listing_id, adapter_hash FROM store.samples WHERE NOT held_out ORDER BY ALL"
EVENTS = " UNION ALL ".join(
    f"SELECT '{table}', listing_id FROM store.{table}"
    for table in ("requests", "predictions", "reviews")
)


# --------------------------------------------------------------------------- the rolling pool


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [{"max_rows": 5}, {"max_age_ms": 3 * DAY_MS}])
def test_what_the_pool_lets_go_of_depends_on_record_time_and_not_on_when_it_is_looked_at(
    tmp_path: Path, bounds: dict[str, int]
) -> None:
    limits: Any = {"max_rows": 1000, "max_age_ms": 1000 * DAY_MS} | bounds
    kept = []
    for name, every in (("at once", 1), ("now and then", 5), ("at the end", 1000)):
        world, rng = World(tmp_path / name), random.Random(4)
        for number in range(14):
            world.now_ms += rng.randrange(DAY_MS)
            world.sell(f"l{number}", filled=rng.randrange(4))
            if number % every == 0:
                prune(world.pool.con, "deficit", **limits, heldout_most=1)
        prune(world.pool.con, "deficit", **limits, heldout_most=1)
        kept.append((world.rows(LEFT), world.rows(f"FROM ({EVENTS}) ORDER BY ALL")))
        world.pool.close()
    assert kept == [kept[0]] * 3
    assert 0 < len(kept[0][0]) < 14


@pytest.mark.parametrize("bounds", [(2, 1000 * DAY_MS), (1000, 0)], ids=["rows", "age"])
def test_what_an_open_round_uses_is_never_let_go_of_and_afterwards_it_is(
    world: World, bounds: tuple[int, int]
) -> None:
    world.sell_many(4)
    world.step()
    world.now_ms += DAY_MS
    world.sell("best")
    prune(world.pool.con, "deficit", *bounds, heldout_most=1)
    assert len(world.rows(LEFT)) == 5
    world.train(K.REJECTED)
    prune(world.pool.con, "deficit", *bounds, heldout_most=1)
    assert world.rows(LEFT) == [("best", "base")]


def test_a_used_listing_stays_used_when_it_is_let_go_of_and_comes_back(world: World) -> None:
    world.sell_many(4)
    world.step()
    world.train(K.REJECTED)
    world.now_ms += DAY_MS
    world.sell("best")
    prune(world.pool.con, "deficit", 2, 1000 * DAY_MS, heldout_most=1)
    asked = request("l0", request_id="again")
    world.feed(asked, answer := prediction(asked), review(answer))
    assert ("l0", "base") in world.rows(LEFT)
    assert world.rows("SELECT listing_id FROM pool") == [("best",)]


# ------------------------------------------------------------------------- orders to measure again


@pytest.mark.slow
def test_never_more_than_twice_k_orders_are_out_at_a_time(world: World) -> None:
    """k is 4, and sixteen listings are stale: no storm after a promotion."""
    world.sell_many(20, "stale")
    world.step()
    adapter = world.train(K.PROPOSED)
    world.step()
    ordered: list[ListingRequest] = []
    for _ in range(40):
        ordered += [event for event in world.step() if isinstance(event, ListingRequest)]
        assert outstanding(world.pool.con, world.now_ms) <= 8
        if not world.orders:
            break
        first = world.orders.pop(0)  # answered one by one; nothing is missing any more
        world.feed(prediction(first, filled=4, adapter_hash=adapter))
    assert len({one.request_id for one in ordered}) == len(ordered) == 16


def test_orders_of_an_earlier_champion_count_until_they_are_answered(world: World) -> None:
    world.sell_many(20, "stale")
    world.step()
    world.train(K.PROPOSED)
    world.step()
    assert len(world.step()) == 8
    world.say(K.ROLLBACK_REQUESTED)
    world.step()
    assert world.conductor.champion().hash == "base"
    # Back with the base its gaps are fresh, and a round begins; nothing is ordered beside it.
    assert [type(event) for event in world.step()] == [RetrainRequest]
    assert outstanding(world.pool.con, world.now_ms) == 8


def test_the_best_are_ordered_first_by_the_gap_last_measured_and_ties_by_listing(
    world: World,
) -> None:
    adapter = promoted(world)
    for listing, filled in (("d", 1), ("b", 0), ("c", 2), ("a", 1)):
        world.sell(listing, filled)
    orders = world.step()
    assert [one.listing_id for one in orders] == ["b", "a", "d", "c"]
    assert {o.adapter_hash for o in orders} == {adapter}
    assert {(o.patience_ms, o.deadline_ms) for o in orders} == {(None, None)}


@pytest.mark.slow
def test_which_gap_was_measured_last_is_decided_alike_when_one_review_completes_two(
    tmp_path: Path,
) -> None:
    """Two adapters answered before the review came: both samples are of its moment."""
    seen = []
    for turn in range(2):
        world = World(tmp_path / str(turn))
        promoted(world)
        for number in range(12):
            asked = request(f"l{number}")
            measured = request(f"l{number}", request_id=f"o{number}", purpose=Purpose.BACKFILL)
            answers = [
                prediction(asked, number % 4, adapter_hash="one"),
                prediction(measured, (number + 2) % 4, adapter_hash="two"),
            ]
            world.feed(asked, *(answers if turn else reversed(answers)))
            world.feed(review(answers[0]))
        seen.append([one.listing_id for one in world.step()])
        world.pool.close()
    assert seen[0] == seen[1]
    assert len(seen[0]) == 8


def test_an_order_has_the_same_identity_whoever_decides_on_it(world: World, tmp_path: Path) -> None:
    identities = []
    for name in ("one", "other"):
        made = World(tmp_path / name)
        promoted(made)
        made.sell("later")
        identities.append([one.request_id for one in made.step()])
        made.pool.close()
    assert identities[0] == identities[1]
    assert len(identities[0]) == 1


def test_an_order_answered_superseded_makes_no_gap(world: World) -> None:
    promoted(world)
    world.sell("later")
    [one] = world.step()
    world.feed(prediction(one, status=Status.SUPERSEDED))
    assert world.rows("SELECT adapter_hash FROM store.samples WHERE listing_id = 'later'") == [
        ("base",)
    ]


# ------------------------------------------------------------------ what such answers count in


def test_measured_again_counts_in_no_acceptance_and_in_no_drop_of_it(tmp_path: Path) -> None:
    world = World(tmp_path, k=40, acceptance_drop=0.5, acceptance_window=4)

    def reviewed(prefix: str, taken: bool, **changes: Any) -> None:
        for number in range(4):
            world.now_ms += 1
            asked = request(f"{prefix}{number}", **changes)
            answer = prediction(asked, filled=2)
            values = SUBMITTED if taken else {**SUBMITTED, "Colour": ["blue"], "Height": ["9 cm"]}
            world.feed(asked, answer, review(answer, submitted=values))

    reviewed("first", taken=True)
    reviewed("measured", taken=False, purpose=Purpose.BACKFILL)
    assert world.step() == []
    # The four that were taken, and the one to judge by.
    assert world.rows("SELECT reviews, acceptance FROM acceptance_by_day") == [(5, 1.0)]
    reviewed("seen", taken=False)
    world.now_ms += 10_000
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    assert event.trigger == "acceptance"
    world.pool.close()


def test_nothing_is_ordered_while_there_is_enough_for_a_round(world: World) -> None:
    adapter = promoted(world)
    world.sell("stale")
    world.sell_many(4, "fresh", adapter_hash=adapter)
    champion = world.conductor.champion()
    order(world.pool.con, world.settings, world.schemas, champion, world.now_ms, have=lambda: 4)
    assert world.rows("FROM store.backfill_orders") == []
