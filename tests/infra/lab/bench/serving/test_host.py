"""What a listing costs beside computing: the tape plays what was recorded, and rows and goals."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra import progress
from infra.lab.bench import listings
from infra.lab.bench.results import begin
from infra.lab.bench.serving import run as serving
from infra.lab.bench.serving import tape
from infra.lab.bench.serving.figures import goals
from infra.lab.bench.serving.host import HostJob, carry_out
from infra.lab.bench.serving.host_figures import ALONE, CROWD, host_rows
from infra.lab.bench.serving.measuring import Measuring
from infra.lab.bench.serving.workload import Workload

TOLD = {"arm": "host", "set": "generated", "in_flight": 64}


def test_rows_are_the_medians_of_rounds_and_are_judged_by_what_a_gpu_leaves_to_the_host() -> None:
    outcome = {
        "modes": {
            "free": {"alone": [9.0, 8.0, 30.0], "crowd": [2.0, 2.5, 2.2]},
            "constrained": {"alone": [11.0, 12.0, 13.0], "crowd": [3.1, 3.2, 2.0]},
        },
        "settings": {"dtype": "float32", "decoder": "torch"},
        "peak_memory_mb": 100.0,
    }
    free, constrained = rows = host_rows("host", TOLD, outcome)
    assert [row.name for row in rows] == ["host, free", "host, constrained"]
    assert (free.figure(ALONE), free.figure(CROWD)) == (9.0, 2.2)
    assert constrained.raw["crowd_cpu_ms"] == [3.1, 3.2, 2.0]
    judged = [goal.met for goal in goals(rows) if goal.name.startswith("CPU ms of the host")]
    assert judged == [True, True, False, False]


def job(base: Path, workload: Workload, folder: Path) -> HostJob:
    file = folder / "workload.json"
    workload.write(file)
    return HostJob(
        str(base), str(file), "float32", "torch", "cpu",
        listings=2, crowd=4, in_flight=2, rounds=2,
    )  # fmt: skip


@pytest.mark.slow
def test_what_is_played_are_the_answers_that_were_recorded_and_no_pass_computes(
    tiny_base: Path, workload: Workload, tmp_path: Path
) -> None:
    outcome = carry_out(job(tiny_base, workload, tmp_path))  # which compares the answers
    assert outcome["settings"] == {"dtype": "float32", "decoder": "torch"}
    for rounds in outcome["modes"].values():
        assert [len(rounds[kind]) for kind in ("alone", "crowd")] == [2, 2]
        assert min(rounds["alone"] + rounds["crowd"]) > 0


@pytest.mark.slow
def test_a_tape_that_says_something_else_is_noticed(
    tiny_base: Path, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = tape.PlayedScores.best

    def other(self: Any, row: int) -> tuple[int, float]:
        token, log_probability = best(self, row)
        return token, log_probability - 1

    monkeypatch.setattr(tape.PlayedScores, "best", other)
    with pytest.raises(AssertionError, match="what was played is not what was recorded"):
        carry_out(job(tiny_base, workload, tmp_path))


@pytest.mark.slow
def test_the_arm_stands_in_the_result_with_a_row_for_each_mode(
    tiny_base: Path, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "matrix_rates", lambda *_: {"float32": 1.0, "bfloat16": 1.0})
    measuring = Measuring(tiny_base, tmp_path, progress.bar(Console(quiet=True)), quick=True)
    measuring.add(listings.GENERATED, workload)
    (result,) = serving.measure(measuring, ("host",), begin("serving"))
    assert [row.not_run for row in result.rows] == ["", ""]
    assert [row.settings["mode"] for row in result.rows] == ["free", "constrained"]
    judged = [goal for goal in result.goals if goal.name.startswith("CPU ms of the host")]
    assert [goal.measured is not None for goal in judged] == [True] * 4
