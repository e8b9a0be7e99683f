"""The benchmark of checking pictures: what it makes up, and what it says of each."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from infra.lab.bench import publish
from infra.lab.bench.photographs import photograph, saved, sent
from infra.lab.bench.pictures import run as pictures
from infra.lab.bench.pictures.arm import CheckJob, carry_out
from infra.lab.bench.pictures.files import bombs, harmless
from infra.lab.bench.pictures.run import REFUSED, SEEN, goals, row_of
from infra.lab.bench.results import ArmResult
from serving.pictures.picture import Picture


def test_the_same_seed_gives_the_same_photograph_and_another_one_another() -> None:
    first, again, other = (photograph(seed, 40, 30) for seed in (1, 1, 2))
    assert np.array_equal(np.asarray(first), np.asarray(again))
    assert not np.array_equal(np.asarray(first), np.asarray(other))
    assert (first.mode, first.size) == ("RGB", (40, 30))


def test_no_two_pictures_are_the_same_and_each_is_as_the_predict_worker_sends_it() -> None:
    made = [Picture(data) for _, data in zip(range(3), sent(384), strict=False)]
    assert len({picture.sha256 for picture in made}) == 3
    assert made[0].pixels().size == (384, 288)


def test_a_file_is_checked_as_often_as_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(saved(photograph(1, 300, 200), "JPEG"))
    outcome = carry_out(CheckJob(str(file), (), edge=100, times=3))
    assert len(outcome["clock_ms"]) == len(outcome["cpu_ms"]) == 3
    assert min(outcome["clock_ms"]) > 0
    assert 0 < outcome["seen_bytes"] < outcome["file_bytes"]
    assert outcome["refused"] == ""


def test_a_bomb_is_refused_and_says_why(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bombs()["PNG just above the limit"]())
    outcome = carry_out(CheckJob(str(file), (), edge=100, times=1))
    assert "more than 50,000,000 pixels" in outcome["refused"]
    assert outcome["seen_bytes"] == 0


def test_every_bomb_is_a_small_file() -> None:
    assert max(len(make()) for make in bombs().values()) < 1_000_000


def test_the_goals_are_judged_by_the_worst_bomb() -> None:
    rows = [_row("a", SEEN, 900, 300), _row("b", REFUSED, 2, 3), _row("c", REFUSED, 51, 1)]
    measured = {goal.name: goal.measured for goal in goals(rows)}
    assert list(measured.values()) == [51, 3, 0]
    assert [goal.met for goal in goals(rows)] == [False, True, True]


def test_a_bomb_that_is_let_through_misses_a_goal() -> None:
    through = ArmResult("b", {"kind": REFUSED}, {"cpu_p50_ms": 1, "memory_mb": 1})
    assert [goal.met for goal in goals([through])] == [True, True, False]
    assert [goal.met for goal in goals([])] == [None, None, None]


def _row(name: str, kind: str, ms: float, mb: float) -> ArmResult:
    outcome = {
        "clock_ms": [ms], "cpu_ms": [ms], "memory_mb": mb, "file_bytes": 1, "seen_bytes": 1,
        "refused": "it is too large" if kind == REFUSED else "",
    }  # fmt: skip
    return row_of(name, kind, outcome)


@pytest.mark.slow
def test_a_run_measures_each_file_and_writes_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "RUNS", tmp_path)
    monkeypatch.setattr(pictures, "pictures", lambda scale: {"GIF": lambda: harmless("GIF")})
    few = {name: make for name, make in bombs().items() if name.startswith("WebP")}
    monkeypatch.setattr(pictures, "bombs", lambda: few)
    path = pictures.run(Console(quiet=True), quick=True)
    told = path.with_suffix(".md").read_text()
    assert "| GIF | kind seen |" in told
    assert "it has more than 50,000,000 pixels" in told
    assert told.count("| yes |") == 3
    assert path.with_suffix(".png").is_file()
