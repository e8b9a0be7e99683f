"""The stream benchmark: its events, its figures and goals, and a toy run on the real broker."""

import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra.cli.app import app
from infra.lab.bench import publish
from infra.lab.bench.results import ArmResult, BenchResult
from infra.lab.bench.stream import run as stream
from infra.lab.bench.stream.curate import Look
from infra.lab.bench.stream.events import DISTINCT, make
from infra.lab.bench.stream.figures import (
    BOTH,
    FULL,
    PASSED,
    REVIEWS,
    STEADY,
    commits_of,
    goals,
    throughput,
)
from infra.lab.bench.stream.steady import Sent, into_pool_s, to_retrain_s
from infra.settings import Settings
from schemas.completeness import deficit
from schemas.errors import ListuneError
from schemas.events import ListingPrediction, ListingRequest, ListingReview
from streams.kafka.publisher import Position

PLACE = ("listing.reviews", 0)


# -------------------------------------------------------------------------------------- the events


def test_each_review_makes_a_sample_with_a_deficit() -> None:
    schemas, events = make(30)
    for event in events:
        request = ListingRequest.model_validate_json(event.request)
        prediction = ListingPrediction.model_validate_json(event.prediction)
        review = ListingReview.model_validate_json(event.review)
        assert prediction.input_hash == request.input_hash()
        assert (review.prediction_id, review.shown) == (prediction.prediction_id, prediction.values)
        attributes = schemas[request.category].attributes
        assert 20 <= len(attributes) <= 40
        assert deficit(attributes, review.submitted, prediction.values) > 0


def test_beyond_the_products_they_come_again_under_ids_of_their_own() -> None:
    _, events = make(DISTINCT + 2)
    assert len({event.listing_id for event in events}) == len(events)
    again = ListingReview.model_validate_json(events[-1].review)
    first = ListingReview.model_validate_json(events[1].review)
    assert again.listing_id == events[-1].listing_id
    assert again.review_id != first.review_id
    assert again.submitted == first.submitted


# ------------------------------------------------------------------------------------- the figures


def test_a_rate_runs_from_the_first_commit_to_the_last() -> None:
    commits = [(10.0, 1.0, 100), (11.0, 1.2, 150), (12.0, 1.5, 300)]
    row = throughput("faust", {}, commits, {"peak_memory_mb": 5.0})
    assert (row.figure("events"), row.figure("events_per_s")) == (300, 100.0)
    assert row.figure("cpu_ms_per_event") == pytest.approx(2.5)
    assert row.raw["commit_s"] == [0.0, 1.0, 2.0]


def test_what_comes_in_one_commit_has_no_rate_and_says_so() -> None:
    assert "send it more" in throughput("faust", {}, [(1.0, 1.0, 5)], {}).not_run


def test_a_looks_records_are_those_of_all_partitions_beyond_the_start() -> None:
    looks = [Look(1.0, 0.1, {PLACE: 3}), Look(2.0, 0.2, {PLACE: 5, ("listing.reviews", 1): 4})]
    assert commits_of(looks, before=3) == [(2.0, 0.2, 6)]


def test_a_review_is_in_the_pool_at_the_first_look_beyond_its_offset() -> None:
    looks = [Look(at_s, 0.0, {PLACE: done}) for at_s, done in ((10.0, 0), (11.0, 2), (12.0, 3))]
    sent = [Sent(9.5 + n, Position(*PLACE, n)) for n in range(3)]
    assert into_pool_s(sent, looks) == [1.5, 0.5, 0.5]


def test_a_round_is_counted_from_the_review_that_made_it_due() -> None:
    sent = [Sent(float(n), Position(*PLACE, n)) for n in range(7)]
    assert to_retrain_s(sent, [2.25, 5.5, 9.0], need=3) == [0.25, 0.5]


def rows(rate: float) -> list[ArmResult]:
    def row(arm: str, what: str, **figures: float) -> ArmResult:
        return ArmResult(arm, {"arm": arm, "set": what}, figures)  # type: ignore[arg-type]

    return [
        row("faust", BOTH, events_per_s=1.0),
        row("faust", REVIEWS, events_per_s=5_000.0),
        row("listune", REVIEWS, events_per_s=rate),
        row("listune", STEADY, to_retrain_p99_s=0.6),
        row("listune", FULL, top_k_p50_s=0.2),
        row("listune", PASSED, events_per_s=1_500.0),
    ]


def test_goals_are_judged_on_reviews_and_missed_ones_stay() -> None:
    assert [goal.met for goal in goals(rows(4_500.0))] == [True, False, True, False, False]
    assert goals(rows(4_500.0))[0].measured == pytest.approx(0.9)


def test_goals_without_their_arms_say_so() -> None:
    for goal in goals([]):
        assert goal.met is None
        assert goal.reason


# ----------------------------------------------------------------------------------- the benchmark


@pytest.mark.usefixtures("kafka_jars")
def test_a_toy_run_fills_every_row_and_counts_each_review_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = stream.StreamSizes(
        backlog=600,
        batch=100,
        per_s=100.0,
        rounds=2,
        k=24,
        pool_rows=2000,
        pool_batch=20,
        full_batch=40,
        passed=400,
        in_flight=16,
    )
    monkeypatch.setattr(stream, "QUICK", toy)
    monkeypatch.setattr(publish, "RUNS", tmp_path)
    # More than one commit, however few there are.
    settings = Settings().changed(streams={"micro_batch_events": 100})
    path = stream.run(settings, Console(quiet=True), quick=True)
    result = BenchResult.from_json(path.read_text())
    assert [row.name for row in result.rows if row.not_run] == []
    assert [row.settings["set"] for row in result.rows] == [BOTH] * 3 + [REVIEWS] * 3 + [
        STEADY,
        FULL,
        PASSED,
        PASSED,
    ]
    steady, full, bare, passed = result.rows[-4:]
    assert (steady.figure("reviews"), steady.figure("rounds")) == (56, 2)
    assert full.figure("rows") == 2000 + 10 * 20 + 5 * 40
    assert bare.figure("events") == passed.figure("events") == 400
    assert all(goal.measured for goal in result.goals)
    assert json.loads(path.read_text())["benchmark"] == "stream"
    assert path.with_suffix(".png").exists()


def test_an_unknown_arm_is_refused_before_anything_is_measured() -> None:
    refused = CliRunner().invoke(app, ["bench", "stream", "--arms", "faust,warp"])
    assert isinstance(refused.exception, ListuneError)
    assert "--arms warp" in str(refused.exception)
