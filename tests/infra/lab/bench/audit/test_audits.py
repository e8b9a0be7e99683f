"""Audits of made-up values: narrow where scores tell, honest everywhere (`bench audit`: more)."""

from pathlib import Path

import pytest
from rich.console import Console

from infra.lab.bench import publish
from infra.lab.bench.audit import run as audit
from infra.lab.bench.audit.simulation import WORLDS, audits
from infra.lab.bench.results import ArmResult
from infra.settings import Settings

pytestmark = pytest.mark.slow


def test_two_hundred_values_give_five_points_where_confidence_tells() -> None:
    found = audits(WORLDS["telling"], 200, 40).figures()
    assert found["powered_half_width"] is not None
    assert found["classical_half_width"] is not None
    assert found["powered_half_width"] <= 0.05 < 0.065 < found["classical_half_width"]


@pytest.mark.parametrize("name", WORLDS)
def test_no_score_makes_an_interval_that_misses_the_truth_too_often(name: str) -> None:
    found = audits(WORLDS[name], 200, 100).figures()
    assert found["powered_coverage"] is not None
    assert found["powered_coverage"] >= 0.88  # 95 % less three standard errors of a hundred


@pytest.mark.parametrize("name", ["useless", "useless, nobody reviews"])
def test_a_useless_score_costs_next_to_nothing(name: str) -> None:
    found = audits(WORLDS[name], 200, 40).figures()
    assert found["powered_half_width"] is not None
    assert found["classical_half_width"] is not None
    assert found["powered_half_width"] <= 1.05 * found["classical_half_width"]


def test_a_run_writes_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "RUNS", tmp_path)
    monkeypatch.setattr(audit, "SIZES", (60, 200))
    path = audit.run(Settings(), Console(quiet=True), quick=True)
    assert all(path.with_suffix(suffix).is_file() for suffix in (".json", ".md", ".png"))


def test_a_goal_that_was_missed_is_told_as_missed() -> None:
    row = ArmResult("telling", figures={"powered_half_width": 0.06, "powered_coverage": 0.95})
    assert [goal.met for goal in audit.goals([row])] == [False, None, True, None]
