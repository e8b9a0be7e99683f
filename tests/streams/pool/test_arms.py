"""What experiments are reported by: arms, their sellers and what came of each, as views."""

from typing import Any

import pytest

from schemas.events import ListingPrediction, Purpose, Status
from schemas.experiment import Arm, Experiment
from tests.streams.world import START_MS, World, prediction, request, review

ARMS = {"titles": "today"}


def answered(
    world: World, listing: str, seller: str | None, filled: int = 0, **changes: Any
) -> ListingPrediction:
    """A listing of a seller who is in an arm was answered."""
    asked = request(listing, seller_id=seller)
    answer = prediction(asked, filled, **{"arms": ARMS, **changes})
    world.feed(asked, answer)
    return answer


def sold(world: World, listing: str, seller: str | None, filled: int = 0, **changes: Any) -> None:
    """… and the seller reviewed it."""
    submitted = changes.pop("submitted", None)
    answer = answered(world, listing, seller, filled, **changes)
    world.feed(review(answer, **({} if submitted is None else {"submitted": submitted})))


def test_a_closed_number_counts_what_the_listing_has_in_the_end_and_no_illegal_value(
    world: World,
) -> None:
    values = {"Colour": ["red"], "Height": ["tall"], "Style": ["loft"], "Dimmable": []}
    sold(world, "a", "s1", filled=1, submitted=values)
    assert world.rows("SELECT asked, shown, accepted, filled FROM arm_sellers") == [(4, 1, 1, 2)]


def test_a_seller_counts_once_by_the_first_review_and_units_sum_all_by_the_last(
    world: World,
) -> None:
    answer = answered(world, "a", "s1", filled=2)
    world.feed(review(answer, submitted={"Colour": ["blue"]}))
    world.feed(review(answer, review_id="again"))
    sold(world, "b", "s1", filled=1)
    answered(world, "c", "s1")
    assert world.rows("SELECT seller, shown, accepted, filled FROM arm_sellers") == [
        ("s1", 2, 0, 1)
    ]
    assert world.rows(
        "SELECT arm, seller, answers, reviews, asked, shown, accepted, filled FROM arm_units"
    ) == [("today", "s1", 3, 2, 8, 3, 3, 8)]


def test_a_listing_without_a_seller_is_its_own_unit(world: World) -> None:
    sold(world, "a", None)
    sold(world, "b", None)
    assert world.rows("SELECT seller FROM arm_units ORDER BY ALL") == [("a",), ("b",)]


def test_answers_outside_of_arms_and_those_that_nobody_waits_for_are_in_no_arm(
    world: World,
) -> None:
    sold(world, "a", "s1", arms={})
    sold(world, "b", "s2", purpose=Purpose.SHADOW)
    for view in ("arms", "arm_units", "arm_sellers"):
        assert world.rows(f"FROM {view}") == []


def test_a_seller_in_an_experiment_and_in_a_canary_is_in_both(world: World) -> None:
    sold(world, "a", "s1", arms={"titles": "today", "canary:r1": "canary"})
    assert world.rows("SELECT experiment, arm FROM arm_units ORDER BY ALL") == [
        ("canary:r1", "canary"),
        ("titles", "today"),
    ]


def test_whom_a_canarys_adapter_answered_is_no_number_of_the_arm_that_the_champion_answers(
    world: World,
) -> None:
    sold(world, "a", "s1", arms={"titles": "today", "canary:r1": "canary"})
    sold(world, "b", "s2", arms={"titles": "today", "canary:r1": "parent"})
    closed = "SELECT experiment, arm, seller FROM arm_sellers ORDER BY ALL"
    assert world.rows(closed) == [
        ("canary:r1", "canary", "s1"),
        ("canary:r1", "parent", "s2"),
        ("titles", "today", "s2"),
    ]
    units = "SELECT seller, answers, reviews FROM arm_units WHERE experiment = 'titles' ORDER BY 1"
    assert world.rows(units) == [("s1", 1, 0), ("s2", 1, 1)]


def test_an_arm_says_how_it_answered_how_fast_and_what_was_read(world: World) -> None:
    for n, latency in enumerate([100.0, 200.0, 300.0]):
        answered(world, f"l{n}", f"s{n}", latency_ms=latency, tokens_read=10, tokens_written=2)
    answered(world, "x", "s9", fell_back="the endpoint is away", latency_ms=400.0)
    answered(world, "y", "s9", status=Status.FAILED, latency_ms=9_000.0)
    assert world.rows(
        "SELECT arm, sellers, answers, failed, fell_back, p50_ms, p90_ms, tokens_read, "
        "tokens_written FROM arms"
    ) == [("today", 4, 4, 1, 1, 250.0, pytest.approx(370.0), 30, 6)]


def test_an_arm_takes_its_share_of_the_time_that_the_engine_spent_on_all_live_answers(
    world: World,
) -> None:
    answered(world, "a", "s1", latency_ms=100.0)
    world.now_ms += 1_800_000
    answered(world, "b", "s2", latency_ms=200.0, arms={})
    paid = {"adapter_id": "endpoint:m", "adapter_hash": "endpoint:m", "tokens_read": 50}
    answered(world, "c", "s3", latency_ms=900.0, arms={"titles": "other"}, **paid)
    blind = {"adapter_id": "blind", "adapter_hash": "blind"}
    answered(world, "d", "s4", latency_ms=900.0, arms={"titles": "none"}, **blind)
    world.now_ms += 1_800_000
    answered(world, "e", "s5", latency_ms=100.0)
    assert world.rows("SELECT arm, engine_share, hours, billed_read FROM arms") == [
        ("none", 0.0, 1.0, 0),
        ("other", 0.0, 1.0, 50),
        ("today", 0.5, 1.0, 0),
    ]


def test_sellers_are_planned_with_by_their_first_reviewed_answer_that_could_suggest(
    world: World,
) -> None:
    blind = {"adapter_id": "blind", "adapter_hash": "blind"}
    sold(world, "a", "s1", **blind)
    sold(world, "b", "s1", filled=3, arms={})
    world.now_ms += 1_000
    sold(world, "c", "s1", filled=1)
    assert world.rows("SELECT seller, reviews, asked, shown, accepted FROM sellers") == [
        ("s1", 2, 4, 3, 3)
    ]


def test_an_experiment_is_told_with_its_arms_in_order_and_its_slices(world: World) -> None:
    arms = (Arm(name="today", answers="champion"), Arm(name="none", answers="blind"))
    experiment = Experiment(name="titles", arms=arms, ends_ms=START_MS + 1_000)
    content = experiment.grown({"today": 0.5, "none": 0.1}).model_dump_json()
    world.pool.con.execute(
        "INSERT INTO store.experiments VALUES ('titles', ?, 'running', ?, NULL, NULL)",
        [content, START_MS],
    )
    [row] = world.rows(
        "SELECT name, state, arms ->> '$[*].name', slices ->> '$[0].arm', epoch_ms(started_at), "
        "epoch_ms(ends_at), ended_at, reason FROM experiments"
    )
    assert row == (
        "titles", "running", ["today", "none"], "today", START_MS, START_MS + 1_000, None, None
    )  # fmt: skip
