"""How the drift alarm is simulated, in few runs (`listune bench drift`: hundreds)."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from infra.lab.bench import publish
from infra.lab.bench.drift import run as drift
from infra.lab.bench.drift import simulation
from infra.lab.bench.results import BenchResult
from streams.drift_settings import DriftSettings
from streams.statistics.betting import DropAlarm
from streams.statistics.power import sellers_with


def test_a_larger_fall_is_seen_sooner() -> None:
    before = sellers_with(0.8)

    def seen(mean: float) -> float:
        return float(
            np.median(
                [
                    simulation.seen_after(
                        before, sellers_with(mean), 10, 400, 0.02, np.random.default_rng(seed)
                    )
                    for seed in range(15)
                ]
            )
        )

    assert 0 < seen(0.5) < seen(0.7) < 400


def test_each_alarm_of_a_year_is_counted_and_the_watch_goes_on() -> None:
    assert simulation.alarms_in_a_year(np.full(1000, 0.8), 10, 0.8, 0.02) == 0
    alone = simulation.watch([0.3] * 1000, 10, DropAlarm(0.8, 0.02))
    assert alone is not None
    assert simulation.alarms_in_a_year(np.full(1000, 0.3), 10, 0.8, 0.02) == 1000 // alone


def test_sellers_who_come_again_come_once_a_day_and_keep_their_mean() -> None:
    shares = simulation.a_year_of_returning(0.8, 10, 300, 10, np.random.default_rng(0))
    assert len(shares) == 365 * 240
    assert shares.mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.slow
def test_a_quick_run_keeps_rows_goals_and_picture(tmp_path: Path) -> None:
    result = drift.simulate(DriftSettings(), True, Console(quiet=True))
    assert {row.settings["row"] for row in result.rows} == {"false", "fall"}
    assert all(goal.measured is not None for goal in result.goals)
    path = publish.write(result, tmp_path)
    assert drift.draw(result, path.with_suffix(".png")).read_bytes().startswith(b"\x89PNG")
    assert BenchResult.from_json(path.read_text(encoding="utf-8")).rows == result.rows
