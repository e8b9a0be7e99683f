"""SIGKILL as the plan says, and how long it takes until the stack works again.

The stack has recovered when the supervisor has started what was killed, every process is ready, and
predict and curate have taken everything that lay in the topics at that moment. That covers Triton
and the broker, too: predict commits a request only after its answer is stored.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from confluent_kafka import KafkaException

from infra.lab.chaos.plan import Kill
from infra.local.supervisor import Supervisor
from schemas.errors import ListuneError
from schemas.events import now_ms
from schemas.topic_names import KINDS, REQUESTS
from streams.curate import app as curate
from streams.kafka.committed import Committed
from streams.kafka.partitions import Partition
from streams.kafka.topics import TopicsError, admin_client, log_bounds
from streams.predict import app as predict
from streams.settings import StreamsSettings

LOOK_S = 0.1
KAFKA_S = 2.0
RECOVERY_LIMIT_S = 300.0
"""Enough for two cores that are busy with other work as well; usually it is some 10 s."""
MARGIN_MS = 1000
"""The supervisor looks ten times a second, and a client that lost its server tries again within
two: a down-time is counted so much longer at each end."""


@dataclass(frozen=True)
class Killed:
    """A kill that was made. recovery_s: None where the next kill came before."""

    kill: Kill
    at_ms: int
    recovery_s: float | None = None

    def __str__(self) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(self.at_ms / 1000))
        during = " during a recovery" if self.kill.during else ""
        end = f", recovered in {self.recovery_s:.1f} s" if self.recovery_s is not None else ""
        return f"{at} kill {self.kill.number}: {self.kill.victim}{during}{end}"


class Outages:
    """When each process was not ready: a thread that looks; a context manager."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._began: dict[str, int] = {}
        self._found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="outages", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def of(self, name: str) -> list[tuple[int, int]]:
        """The down-times of a process, from and to in milliseconds since 1970, in order."""
        found = list(self._found[name])
        if name in self._began:
            found.append((self._began[name], now_ms()))
        return [(begin - MARGIN_MS, end + MARGIN_MS) for begin, end in found]

    def _look(self) -> None:
        while not self._stop.wait(LOOK_S / 2):
            for name, state in self._supervisor.status().items():
                if state != "ready":
                    self._began.setdefault(name, now_ms())
                elif (began := self._began.pop(name, None)) is not None:
                    self._found[name].append((began, now_ms()))


class Executioner:
    """Makes the kills of a plan on a stack that is up."""

    def __init__(self, supervisor: Supervisor, settings: StreamsSettings) -> None:
        self._supervisor = supervisor
        self._settings = settings
        self._admin = admin_client(settings)
        groups = (predict.GROUP, curate.GROUP)
        self._committed = {group: Committed(settings, group) for group in groups}
        self.done: list[Killed] = []

    def make(self, kill: Kill, recover: bool) -> None:
        """Makes the kill after its delay, and waits for the recovery from it if `recover`.

        Raises:
            SupervisorError: a process does not come up any more.
            ListuneError: the stack does not recover within `RECOVERY_LIMIT_S`.
        """
        time.sleep(kill.delay_s)
        restarts = self._kill(kill)
        if recover:
            began = time.monotonic()
            self._wait(
                lambda: self._supervisor.restarts(kill.victim) > restarts,
                f"kill {kill.number} ({kill.victim})",
            )
            last = self.done[-1]
            self.done[-1] = Killed(last.kill, last.at_ms, time.monotonic() - began)

    def drain(self) -> None:
        """Waits until all that lies in the topics now is answered and in the pool.

        Raises:
            SupervisorError, ListuneError: as `make`.
        """
        self._wait(lambda: True, "the last listing")

    def _kill(self, kill: Kill) -> int:
        """Kills the process, once it runs; returns how often it was restarted before."""
        end = time.monotonic() + RECOVERY_LIMIT_S
        while self._supervisor.pid(kill.victim) is None:
            self._supervisor.check()
            if time.monotonic() > end:
                raise ListuneError(f"{kill.victim} is not started again; see its log")
            time.sleep(LOOK_S / 2)
        restarts = self._supervisor.restarts(kill.victim)
        self.done.append(Killed(kill, now_ms()))
        self._supervisor.kill(kill.victim)
        return restarts

    def _wait(self, begun_again: Callable[[], bool], after: str) -> None:
        """Until the stack works: see the head of this module."""
        end = time.monotonic() + RECOVERY_LIMIT_S
        ends: dict[Partition, int] | None = None
        while True:
            self._supervisor.check()
            if begun_again() and self._all_ready():
                try:
                    ends = ends or self._ends()
                    if self._taken(ends):
                        return
                except (KafkaException, TopicsError, TimeoutError):
                    pass  # the broker is on its way
            if time.monotonic() > end:
                raise ListuneError(
                    f"after {after} the stack did not work again within {RECOVERY_LIMIT_S:.0f} s: "
                    f"{self._state(ends)}; see the logs in {self._supervisor.run_dir}"
                )
            time.sleep(LOOK_S)

    def _all_ready(self) -> bool:
        return all(state == "ready" for state in self._supervisor.status().values())

    def _ends(self) -> dict[Partition, int]:
        """Where the topics end that predict and curate read."""
        bounds = log_bounds(self._settings, KINDS, KAFKA_S, self._admin)
        return {place: end for place, (_, end) in bounds.items()}

    def _taken(self, ends: dict[Partition, int]) -> bool:
        """Whether predict has answered, and curate has in the pool, all that lies before `ends`."""
        return not any(self._lags(ends))

    def _lags(self, ends: dict[Partition, int]) -> tuple[int, int]:
        """How many records before `ends` predict and curate have not taken."""
        asked = {place: end for place, end in ends.items() if place[0] == REQUESTS}
        return self._behind(predict.GROUP, asked), self._behind(curate.GROUP, ends)

    def _behind(self, group: str, ends: dict[Partition, int]) -> int:
        committed = self._committed[group].offsets(ends, KAFKA_S)
        return sum(max(0, end - committed.get(place, 0)) for place, end in ends.items())

    def _state(self, ends: dict[Partition, int] | None) -> str:
        states = ", ".join(f"{n} {s}" for n, s in self._supervisor.status().items())
        if ends is None:
            return states
        try:
            behind = self._lags(ends)
        except (KafkaException, TimeoutError):
            return f"{states}; the broker does not answer"
        return f"{states}; predict is {behind[0]} and curate {behind[1]} records behind"
