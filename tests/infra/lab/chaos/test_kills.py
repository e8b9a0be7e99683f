"""A kill strikes what runs, and the stack has recovered only when it works again."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from infra.lab.chaos import kills as kills_module
from infra.lab.chaos.kills import MARGIN_MS, Executioner, Outages
from infra.lab.chaos.plan import Kill
from schemas.errors import ListuneError
from streams.settings import StreamsSettings

pytestmark = pytest.mark.slow

NOBODY = StreamsSettings(bootstrap_servers="127.0.0.1:1")


class FakeSupervisor:
    """Two processes; a killed one is started again `pause_s` later and ready as long after."""

    run_dir = Path("run")

    def __init__(self, pause_s: float = 0.2) -> None:
        self.pause_s = pause_s
        self.states = {"kafka": "ready", "curate": "ready"}
        self.begun: dict[str, int] = {"kafka": 0, "curate": 0}
        self.killed: list[tuple[str, str]] = []

    def status(self) -> dict[str, str]:
        return dict(self.states)

    def pid(self, name: str) -> int | None:
        return None if self.states[name] == "pausing" else 1

    def restarts(self, name: str) -> int:
        return self.begun[name]

    def check(self) -> None:
        pass

    def kill(self, name: str) -> None:
        self.killed.append((name, self.states[name]))
        threading.Thread(target=self._start_again, args=(name,), daemon=True).start()

    def _start_again(self, name: str) -> None:
        self.states[name] = "pausing"
        time.sleep(self.pause_s)
        self.begun[name] += 1
        self.states[name] = "starting"
        time.sleep(self.pause_s)
        self.states[name] = "ready"


def executioner(supervisor: FakeSupervisor, taken: Any = lambda _: True) -> Executioner:
    made = Executioner(supervisor, NOBODY)  # type: ignore[arg-type]
    made._ends = lambda: {("listing.requests", 0): 1}  # type: ignore[method-assign]
    made._taken = taken  # type: ignore[method-assign]
    return made


def test_recovery_ends_when_all_is_ready_and_what_waited_is_taken() -> None:
    at_work = executioner(FakeSupervisor(), lambda _: time.monotonic() - began > 0.8)
    began = time.monotonic()
    at_work.make(Kill(1, "kafka", during=False, delay_s=0), recover=True)
    [killed] = at_work.done
    assert killed.recovery_s is not None
    assert 0.8 <= killed.recovery_s + 0.05 < 3


def test_a_kill_during_a_recovery_waits_for_nothing_but_a_process_to_strike() -> None:
    supervisor = FakeSupervisor()
    at_work = executioner(supervisor)
    at_work.make(Kill(1, "kafka", during=False, delay_s=0), recover=False)
    time.sleep(0.1)
    at_work.make(Kill(2, "kafka", during=True, delay_s=0), recover=True)
    assert supervisor.killed == [("kafka", "ready"), ("kafka", "starting")]
    assert [killed.recovery_s is None for killed in at_work.done] == [True, False]


def test_a_stack_that_does_not_recover_is_an_error_that_says_who_lags(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kills_module, "RECOVERY_LIMIT_S", 0.6)
    monkeypatch.setattr(Executioner, "_lags", lambda self, ends: (3, 0))
    at_work = executioner(FakeSupervisor(0.05), lambda _: False)
    with pytest.raises(ListuneError, match="kafka ready, curate ready; predict is 3 and curate 0"):
        at_work.make(Kill(1, "kafka", during=False, delay_s=0), recover=True)


def test_a_down_time_is_known_with_a_margin() -> None:
    supervisor = FakeSupervisor()
    with Outages(supervisor) as outages:  # type: ignore[arg-type]
        time.sleep(0.2)
        struck_ms = time.time_ns() // 1_000_000
        supervisor.kill("kafka")
        time.sleep(0.9)
    [(begin, end)] = outages.of("kafka")
    assert begin + MARGIN_MS == pytest.approx(struck_ms, abs=150)
    assert end - begin - 2 * MARGIN_MS == pytest.approx(400, abs=200)
    assert outages.of("curate") == []
