"""After the last wave all adapters are judged on the same listings, and the report is of that."""

import json
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from infra.catalogs.catalog import Product, listing_row
from infra.catalogs.grouping import parted
from infra.demo import play, side_by_side, summary
from infra.demo.summary import Served
from infra.demo.watch import WatchedRound
from infra.demo.wording import headline
from infra.settings import Settings
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.errors import ListuneError
from schemas.events import (
    Interval,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
    RoundMetrics,
    ValueLists,
)
from schemas.heldout import is_held_out
from trainer.judging.evaluate import Evaluation, EvaluationKey, ListingScore

pytestmark = pytest.mark.slow

COLOR = Attribute(name="Color", type=AttributeType.ENUM, values=("red", "blue"))
SCHEMAS = CategorySchemas([CategorySchema(category="Lamps", attributes=(COLOR,))])
PRODUCTS = [Product(f"p{n}", "Lamps", f"lamp {n}", "", {"Color": ["red"]}) for n in range(40)]
WORTH = {"base": 0.1, "base, one example": 0.2, "default-r1-a1": 0.3}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings().changed(streams={"heldout_share": 0.5}, trainer={"work_dir": tmp_path})


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """In the place of the trainer's process; has the job that it was given."""
    job: dict[str, Any] = {}

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "trainer.side_by_side", "--job"]
        job.update(json.loads(Path(command[4]).read_text()))
        folder = Path(job["folder"])
        names = ["base", "base, one example", *job["adapters"]]
        (folder / "side-by-side.json").write_text(
            json.dumps(
                [_judged(name, job["heldout"], folder, job.get("pictures", 0)) for name in names]
            )
        )
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(side_by_side, "subprocess", SimpleNamespace(run=run))
    return job


def _judged(name: str, heldout: str, folder: Path, pictures: int) -> dict[str, Any]:
    """The base says blue, all others red, which is right. Of some listings pictures are seen."""
    value = "blue" if name == "base" else "red"
    listings = [
        ListingScore(
            listing_id=json.loads(line)["listing_id"],
            asked=1,
            valid=1,
            labelled=1,
            suggested=1,
            right=int(value == "red"),
            seconds=1.0,
            values={"Color": [value]},
            invalid={},
        )
        for line in Path(heldout).read_text().splitlines()
    ]
    path = folder / f"{name}.json"
    key = EvaluationKey.of_baseline(name, "h")
    evaluation = Evaluation(key=key, adapter_id=name, listings=listings, seconds=9.0)
    path.write_text(evaluation.model_dump_json())
    kinds = {
        "image": metrics(WORTH[name] / 2, pictures),
        "text": metrics(WORTH[name], len(listings) - pictures),
    }
    measured = metrics(WORTH[name], len(listings))
    if pictures:
        measured = measured.model_copy(update={"by_inputs": kinds})
    difference = {"value": WORTH[name] - 0.1, "lower": 0.1, "upper": 0.3, "error": 0.05}
    return {
        "name": name,
        "metrics": measured.model_dump(mode="json"),
        "evaluation": str(path),
        "seconds": 9.0,
        "difference": None if name == "base" else difference,
    }


def metrics(net_benefit: float, listings: int) -> RoundMetrics:
    share = Interval(value=0.5, low=0.4, high=0.6)
    return RoundMetrics(
        net_benefit=Interval(value=net_benefit, low=0.0, high=0.4),
        correct_completeness=share,
        completeness=share,
        recall=share,
        precision=share,
        listings=listings,
        p50_ms=1.0,
        p90_ms=2.0,
    )


def rows(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_the_held_out_judge_by_their_truth_and_the_others_are_examples_as_submitted(
    settings: Settings, judge: dict[str, Any]
) -> None:
    submitted: dict[str, ValueLists] = {p.product_id: {"Color": ["blue"]} for p in PRODUCTS}
    seen = {p.product_id: [f"hash of {p.product_id}"] for p in PRODUCTS[:30]}
    found = side_by_side.judge_side_by_side(
        settings, SCHEMAS, PRODUCTS, submitted, ["default-r1-a1"], seen
    )
    assert [entry.name for entry in found] == list(WORTH)
    held_out, others = parted(PRODUCTS, 0.5)
    assert all(is_held_out(p.product_id, 0.5) for p in held_out)
    assert rows(judge["heldout"]) == [
        listing_row(p, SCHEMAS, p.truth, seen.get(p.product_id, [])) for p in held_out
    ]
    blue: ValueLists = {"Color": ["blue"]}
    assert rows(judge["examples"]) == [
        listing_row(p, SCHEMAS, blue, seen.get(p.product_id, [])) for p in others
    ]
    assert judge["trainer"] == settings.trainer.model_dump(mode="json")
    assert judge["adapters"] == ["default-r1-a1"]


def test_a_judging_that_fails_says_why(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        (Path(command[4]).parent / "failure.json").write_text('{"reason": "no memory is left"}')
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(side_by_side, "subprocess", SimpleNamespace(run=run))
    with pytest.raises(ListuneError, match="judged side by side: no memory is left"):
        side_by_side.judge_side_by_side(settings, SCHEMAS, [], {}, [], {})


def a_play(settings: Settings) -> play.Play:
    """All products came; the round's adapter is a challenger."""
    made = play.Play(settings, play.Stage(SCHEMAS, PRODUCTS), Console(quiet=True), lambda: None)
    made.submitted = {p.product_id: p.truth for p in PRODUCTS}
    made.served["base"] = Served([1.0, 2.0], shown=4, accepted=3)
    request = RetrainRequest(
        pool="default",
        round=1,
        parent_id="base",
        parent_hash="base",
        selection="deficit",
        k=20,
        min_gap=0.0,
        pool_size=41,
        files=[],
    )
    undecided = ModelEvent(
        kind=ModelEventKind.CHALLENGER,
        pool="default",
        round=1,
        adapter_id="default-r1-a1",
        adapter_hash="h",
        metrics=metrics(0.25, 24),
        reason="undecided",
        train_seconds=60.0,
    )
    made.watch.rounds = {1: WatchedRound(request, events=[undecided])}
    return made


def test_the_report_is_of_the_listings_that_all_share_and_of_what_the_gate_said(
    settings: Settings, judge: dict[str, Any]
) -> None:
    played = a_play(settings).judge()
    report = summary.build(settings, SCHEMAS, played, {}, time.time(), "abc")
    held_out = len(parted(PRODUCTS, 0.5)[0])
    assert report.run.heldout == held_out
    assert [row.adapter for row in report.rounds] == ["base", "default-r1-a1"]
    assert [row.adapter for row in report.baselines] == ["base, one example"]
    base, candidate = report.rounds
    assert (base.net_benefit, base.acceptance, base.over_base) == (0.1, 0.75, None)
    assert (candidate.net_benefit, candidate.net_benefit_interval) == (0.3, (0.0, 0.4))
    assert candidate.over_base == pytest.approx(0.2)
    gate = (candidate.decision, candidate.reason, candidate.look, candidate.gate_listings)
    assert gate == ("challenger", "undecided", 1, 24)
    assert (candidate.pool_size, candidate.train_seconds, candidate.eval_seconds) == (41, 60, 9)
    assert headline(report).startswith("Net benefit 0.10 → 0.30 (base → default-r1-a1, which does")
    changed = {(s.attribute, s.base, s.new, s.right) for s in report.samples}
    assert changed == {("Color", "blue", "red", True)}


def test_a_round_that_failed_is_in_the_report_and_nothing_of_it_is_judged(
    settings: Settings, judge: dict[str, Any]
) -> None:
    made = a_play(settings)
    failed = {"kind": ModelEventKind.FAILED, "metrics": None, "adapter_id": None, "reason": "why"}
    (undecided,) = made.watch.rounds[1].events
    made.watch.rounds[1].events = [undecided.model_copy(update=failed)]
    report = summary.build(settings, SCHEMAS, made.judge(), {}, time.time(), "abc")
    assert judge["adapters"] == []
    row = report.rounds[1]
    assert (row.adapter, row.decision, row.reason, row.net_benefit) == (
        "none",
        "failed",
        "why",
        None,
    )
    assert headline(report) == "No round brought a candidate: base serves, net benefit 0.10"


def test_the_report_has_a_row_by_input_where_not_the_same_is_seen_of_all_listings(
    settings: Settings, judge: dict[str, Any]
) -> None:
    report = summary.build(settings, SCHEMAS, a_play(settings).judge(), {}, time.time(), "abc")
    assert report.by_inputs == []
    judge["pictures"] = 5
    report = summary.build(settings, SCHEMAS, a_play(settings).judge(), {}, time.time(), "abc")
    found = {(row.adapter, row.inputs): row for row in report.by_inputs}
    assert found.keys() == {(name, kind) for name in WORTH for kind in ("image", "text")}
    image, text = (found["default-r1-a1", kind] for kind in ("image", "text"))
    assert (image.listings, text.listings) == (5, len(parted(PRODUCTS, 0.5)[0]) - 5)
    assert (image.net_benefit, image.net_benefit_interval) == (0.15, (0.0, 0.4))
    assert (text.net_benefit, text.completeness) == (0.3, 0.5)
