"""The demo follows the rounds: attempts, further looks, and what became of each."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from infra.demo.watch import RoundWatch
from infra.settings import Settings
from schemas.errors import ListuneError
from schemas.events import (
    BASE_ADAPTER,
    Interval,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
    RoundMetrics,
)
from streams.kafka.control_log import ControlRecord

SHARE = Interval(value=0.5, low=0.4, high=0.6)
METRICS = RoundMetrics(
    completeness=SHARE, recall=SHARE, precision=SHARE, listings=24, p50_ms=1, p90_ms=2
)


@pytest.fixture
def watch() -> RoundWatch:
    """A watch that reads no topic: the tests say what it hears."""
    settings = Settings().changed(demo={"stall_minutes": 0.5})
    return RoundWatch(settings, Console(quiet=True), lambda: None)


def order(watch: RoundWatch, number: int, **fields: Any) -> None:
    request = RetrainRequest(
        pool="default",
        round=number,
        parent_id=BASE_ADAPTER,
        parent_hash=BASE_ADAPTER,
        selection="gap",
        k=20,
        min_gap=0.0,
        files=[],
        **fields,
    )
    watch.take(ControlRecord("training.retrain", 0, request))


def say(watch: RoundWatch, number: int, kind: ModelEventKind, **fields: Any) -> None:
    identity = f"default-r{number}-a{fields.get('attempt', 1)}"
    event = ModelEvent(
        kind=kind, pool="default", round=number, adapter_id=identity, adapter_hash="h", **fields
    )
    watch.take(ControlRecord("model.events", 0, event))


def soon(work: Callable[[], None]) -> None:
    """Do `work` on another thread, while this one waits for it."""
    threading.Timer(0.3, work).start()


def test_a_challenger_ends_the_round_until_it_is_looked_at_again(watch: RoundWatch) -> None:
    order(watch, 1)
    assert watch.rounds[1].end is None
    say(watch, 1, ModelEventKind.CHALLENGER, reason="undecided", metrics=METRICS)
    assert watch.wait_closed(1).kind is ModelEventKind.CHALLENGER
    order(watch, 1, look=2)
    assert watch.rounds[1].end is None
    assert watch.rounds[1].request.look == 1
    say(watch, 1, ModelEventKind.PROPOSED, look=2, reason="surely better", metrics=METRICS)
    say(watch, 1, ModelEventKind.PROMOTED, look=2, metrics=METRICS)
    assert watch.wait_closed(1).kind is ModelEventKind.PROMOTED
    verdict, outcome = watch.rounds[1].verdict, watch.rounds[1].outcome
    assert verdict
    assert (verdict.look, verdict.reason) == (2, "surely better")
    assert outcome
    assert outcome.kind is ModelEventKind.PROMOTED
    assert watch.champion_id == "default-r1-a1"


def test_a_look_that_fails_leaves_the_verdict_before_it(watch: RoundWatch) -> None:
    order(watch, 1)
    say(watch, 1, ModelEventKind.CHALLENGER, reason="undecided", metrics=METRICS)
    order(watch, 1, look=2)
    say(watch, 1, ModelEventKind.FAILED, look=2, reason="lease_expired")
    assert watch.rounds[1].end is not None
    outcome, verdict = watch.rounds[1].outcome, watch.rounds[1].verdict
    assert outcome
    assert outcome.kind is ModelEventKind.CHALLENGER
    assert verdict
    assert verdict.reason == "undecided"


def test_the_next_round_is_waited_for_while_an_earlier_one_is_looked_at(watch: RoundWatch) -> None:
    order(watch, 1)
    say(watch, 1, ModelEventKind.CHALLENGER, metrics=METRICS)
    order(watch, 1, look=2)

    def go_on() -> None:
        say(watch, 1, ModelEventKind.REJECTED, look=2, metrics=METRICS)
        order(watch, 2)

    soon(go_on)
    # The pool stands still for longer than it may, but not without a reason.
    assert watch.wait_requested(2, quiet_seconds=0.1)
    assert watch.rounds[1].end is not None


def test_a_second_attempt_is_waited_for_too(watch: RoundWatch) -> None:
    order(watch, 1)
    say(watch, 1, ModelEventKind.FAILED, reason="lease_expired")
    order(watch, 1, attempt=2)
    assert watch.rounds[1].end is None
    # What the trainer of the first attempt still says does not end the second.
    say(watch, 1, ModelEventKind.REJECTED, metrics=METRICS)
    assert watch.rounds[1].end is None
    soon(lambda: say(watch, 1, ModelEventKind.REJECTED, attempt=2, metrics=METRICS))
    assert not watch.wait_requested(2, quiet_seconds=0.1)
    end = watch.rounds[1].end
    assert end
    assert end.attempt == 2


def test_before_the_report_a_look_that_is_due_is_waited_for(watch: RoundWatch) -> None:
    order(watch, 1)
    say(watch, 1, ModelEventKind.CHALLENGER, metrics=METRICS)

    def go_on() -> None:
        order(watch, 1, look=2)
        say(watch, 1, ModelEventKind.REJECTED, look=2, metrics=METRICS)

    soon(go_on)
    watch.wait_settled(settle_seconds=60)
    outcome = watch.rounds[1].outcome
    assert outcome
    assert outcome.kind is ModelEventKind.REJECTED


def test_without_a_challenger_and_with_one_that_nothing_comes_of_the_report_is_written(
    watch: RoundWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(watch, "_wait", waits.append)
    watch.wait_settled(settle_seconds=60)
    order(watch, 1)
    say(watch, 1, ModelEventKind.REJECTED, metrics=METRICS)
    watch.wait_settled(settle_seconds=60)
    assert waits == []
    order(watch, 2)
    say(watch, 2, ModelEventKind.CHALLENGER, metrics=METRICS)
    watch.wait_settled(settle_seconds=0.1)
    assert waits


@pytest.mark.parametrize("verdict", [ModelEventKind.PROPOSED, ModelEventKind.CHALLENGER])
@pytest.mark.parametrize("end", [ModelEventKind.PROMOTED, ModelEventKind.EXPERIMENT_ENDED])
def test_a_round_whose_adapter_is_in_a_canary_is_under_way(
    watch: RoundWatch, verdict: ModelEventKind, end: ModelEventKind
) -> None:
    order(watch, 1)
    say(watch, 1, verdict)
    say(watch, 1, ModelEventKind.EXPERIMENT_STARTED)
    made = watch.rounds[1]
    assert made.in_canary
    assert made.end is None
    say(watch, 1, end)
    assert not made.in_canary
    assert made.end is not None
    assert made.end.kind is end


def test_a_round_that_nothing_is_heard_of_ends_the_demo(watch: RoundWatch) -> None:
    order(watch, 1)
    watch.heard = time.monotonic() - 60
    with pytest.raises(ListuneError, match="nothing was heard of round 1 for 30 s; see the train"):
        watch.wait_closed(1)
