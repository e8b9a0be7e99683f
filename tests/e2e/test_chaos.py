"""Each process killed under load, and every event accounted for. `make chaos` kills a hundred."""

from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from infra import stack
from infra.lab.bench.results import BenchResult
from infra.lab.chaos.plan import VICTIMS
from infra.lab.chaos.run import ChaosPlan, run


@pytest.mark.timeout(420)
def test_a_kill_of_each_process_loses_doubles_and_leaves_unanswered_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "ACTIVE", tmp_path / "active")
    found = run(ChaosPlan(kills=len(VICTIMS), rate=2.0), tmp_path, Console(force_terminal=False))
    assert found.faults == ()
    assert found.clean, f"{found.expired_share:.1%} of the requests expired though Triton was up"
    # It was a load, though a quick machine is through with the kills in a minute; and rounds.
    assert found.requests > 30
    assert found.reviews > 0.9 * found.requests
    assert found.rounds > 0
    [written] = tmp_path.glob("chaos-*.json")
    result = BenchResult.from_json(written.read_text())
    assert Counter({row.name: row.figures["kills"] for row in result.rows}) == dict.fromkeys(
        VICTIMS, 1
    )
    assert sum(row.figures["during_a_recovery"] for row in result.rows) > 0
    assert all(goal.met for goal in result.goals)
