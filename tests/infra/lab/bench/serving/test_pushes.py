"""Adapters pushed while listings are asked for: a real Triton, and what rows and goals say."""

from pathlib import Path
from typing import Any

import pytest

from infra.lab.bench.serving.pushes import (
    AFTER,
    CALM,
    PHASES,
    PUSHES,
    PushesJob,
    carry_out,
    decoder_here,
)
from infra.lab.bench.serving.pushes_figures import push_goals, push_rows
from infra.lab.bench.serving.workload import Workload

TOLD = {"arm": "pushes", "set": "generated"}


def asked(phase: str, seconds: float, failed: str = "", by_named: bool = True) -> dict[str, Any]:
    return {"phase": phase, "seconds": seconds, "failed": failed, "by_named": by_named}


def measured(*during: dict[str, Any]) -> dict[str, Any]:
    calm = [asked(CALM, 1.0), asked(CALM, 1.0), asked(AFTER, 1.0)]
    return {
        "asked": [*calm, *during],
        "phase_s": {CALM: 2.0, PUSHES: 20.0, AFTER: 2.0},
        "push_s": [0.1, 0.2, 0.3, 0.4],
        "memory_mb": [100.0, 110.0, 120.0, 121.0, 119.0, 118.0],
        "deaths": 0,
        "settings": {"dtype": "float32", "decoder": "openvino"},
    }


def test_waits_during_pushes_are_told_in_times_of_the_calm_ones() -> None:
    outcome = measured(asked(PUSHES, 1.2), asked(PUSHES, 1.2))
    calm, pushes, after = push_rows("pushes", TOLD, 3, outcome)
    assert [row.settings["phase"] for row in (calm, pushes, after)] == list(PHASES)
    assert (calm.figures["listings_per_s"], pushes.figures["listings_per_s"]) == (1.0, 0.1)
    assert pushes.figures["p95_times"] == pytest.approx(1.2)
    assert (pushes.figures["pushes"], pushes.figures["every_s"]) == (4, 5.0)
    assert pushes.figures["push_most_s"] == 0.4
    assert calm.figure("p50_times") is None


def test_memory_is_told_from_the_push_on_with_which_the_store_is_full() -> None:
    row = push_rows("pushes", TOLD, 3, measured(asked(PUSHES, 1.0)))[1]
    names = ("memory_before_mb", "memory_full_mb", "memory_full_later_mb", "memory_after_mb")
    assert [row.figures[name] for name in names] == [100.0, 120.0, 120.0, 118.0]
    assert push_rows("pushes", TOLD, 16, measured())[1].figure("memory_full_mb") is None


@pytest.mark.parametrize(
    ("one", "met"),
    [
        (asked(PUSHES, 1.0), [True, True]),
        (asked(PUSHES, 1.0, failed="Triton does not answer"), [False, True]),
        (asked(PUSHES, 1.0, by_named=False), [True, False]),
        # Nor may one be lost after the last push.
        (asked(AFTER, 1.0, failed="Triton does not answer"), [False, True]),
    ],
)
def test_one_lost_request_or_one_answer_by_another_adapter_misses_a_goal(
    one: dict[str, Any], met: list[bool]
) -> None:
    rows = push_rows("pushes", TOLD, 3, measured(one))
    assert [goal.met for goal in push_goals(rows)] == met


def test_without_a_run_the_goals_are_unmeasured() -> None:
    (row,) = push_rows("pushes", TOLD, 3, {"not_run": "Triton does not come up"})
    assert row.not_run == "Triton does not come up"
    assert [goal.met for goal in push_goals([row])] == [None, None]


@pytest.mark.slow
def test_adapters_pushed_into_triton_lose_no_request_and_none_answers_for_another(
    triton_home: Path, tiny_base: Path, workload: Workload, tmp_path: Path
) -> None:
    file = tmp_path / "workload.json"
    workload.write(file)
    job = PushesJob(
        str(tiny_base), str(triton_home), str(file), "float32", "cpu",
        in_flight=4, pushes=4, every_s=1.0, calm_s=1.0, max_adapters=3,
    )  # fmt: skip
    outcome = carry_out(job)
    assert outcome["settings"] == {"dtype": "float32", "decoder": decoder_here()}
    assert len(outcome["asked"]) >= job.in_flight
    row = push_rows("pushes", TOLD, job.max_adapters, outcome)[1]
    wanted = {"pushes": 4, "lost": 0, "by_another": 0, "deaths": 0}
    assert {name: row.figures[name] for name in wanted} == wanted
    assert min(outcome["memory_mb"]) > 100
    assert len(outcome["memory_mb"]) == 6
