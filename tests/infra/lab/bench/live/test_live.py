"""How sure live statistics are, in few runs (`make bench-arms`: a thousand)."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from infra.lab.bench import publish
from infra.lab.bench.live import run as live
from infra.lab.bench.live import simulation
from infra.lab.bench.results import BenchResult
from streams.statistics.fixed_horizon import two_proportion_z
from streams.statistics.power import sellers_with


def test_returning_sellers_fool_the_same_sequence_and_their_first_reviews_do_not() -> None:
    every, first = 0, 0
    for seed in range(60):
        traffic = simulation.returning(np.random.default_rng(seed), 2000, 0.5)
        every += np.isfinite(simulation.betting_wrong_at(traffic))
        first += np.isfinite(simulation.betting_wrong_at(traffic.of_first_reviews()))
    assert every / 60 > 0.10
    assert first / 60 <= 0.05


def test_a_plain_z_test_at_every_look_is_wrong_far_too_often() -> None:
    found = [
        simulation.z_wrong_at(simulation.each_once(np.random.default_rng(seed), 1000, 0.5), False)
        for seed in range(100)
    ]
    assert np.mean([np.isfinite(at) for at, _ in found]) > 0.2
    assert np.mean([at_the_end for _, at_the_end in found]) <= 0.10


def test_the_z_of_the_last_look_is_that_of_the_two_proportion_test() -> None:
    traffic = simulation.each_once(np.random.default_rng(1), 500, 0.5)
    accepted = np.rint(traffic.accepted * simulation.VALUES).astype(int)
    counts = [
        int(count)
        for arm in (traffic.treated, ~traffic.treated)
        for count in (accepted[arm].sum(), simulation.VALUES * arm.sum())
    ]
    expected = two_proportion_z(*counts)
    assert simulation._z_by_review(traffic, over_values=True)[-1] == pytest.approx(expected.z)


def test_returning_sellers_keep_their_arm_and_come_first_once() -> None:
    traffic = simulation.returning(np.random.default_rng(0), 1000, 0.5)
    assert traffic.first[0]
    assert traffic.first.sum() <= 100
    assert traffic.of_first_reviews().first.all()


def test_growing_shares_switch_nobody() -> None:
    found = simulation.assign(2000, live.GROWTH)
    assert (found.assignments, found.switches) == (20_000, 0)
    assert found.into_arms > 1800
    assert found.realised == pytest.approx(found.wanted, abs=0.03)


def test_a_drop_is_seen_and_a_steady_year_is_not_called_one() -> None:
    before, after = sellers_with(0.5), sellers_with(0.4)
    rng = np.random.default_rng(0)
    assert simulation.drop_seen_after(before, after, 10, rng) <= 600
    assert simulation.drop_seen_after(before, before, 10, rng) == simulation.NEVER
    assert simulation.false_alarms(0.5, 2, 1, 0) == 0


@pytest.mark.slow
def test_the_command_leaves_tables_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "RUNS", tmp_path)
    monkeypatch.setattr(live, "QUICK", 4)
    path = live.run(Console(quiet=True), quick=True)
    assert path.parent == tmp_path / "bench"
    result = BenchResult.from_json(path.read_text())
    assert len(result.goals) == 10
    assert all(goal.measured is not None for goal in result.goals)
    assert path.with_suffix(".png").stat().st_size > 10_000
