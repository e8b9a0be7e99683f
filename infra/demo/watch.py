"""What became of the rounds, as the control topics tell it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console

from infra.settings import Settings
from infra.stack import loop_status
from schemas.errors import ListuneError
from schemas.events import (
    BASE_ADAPTER,
    TERMINAL_KINDS,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
)
from streams.control import ControlLog, ControlRecord


@dataclass
class Round:
    """One round: its order, and everything that was said of it."""

    request: RetrainRequest
    events: list[ModelEvent] = field(default_factory=list)

    @property
    def end(self) -> ModelEvent | None:
        """The event that closed the round for good."""
        return next((e for e in reversed(self.events) if e.kind in TERMINAL_KINDS), None)

    @property
    def verdict(self) -> ModelEvent | None:
        """The trainer's last word, which carries the metrics."""
        return next((e for e in reversed(self.events) if e.metrics is not None), None)


class RoundWatch:
    """Follows the control topics while the demo runs; a context manager."""

    def __init__(self, settings: Settings, console: Console, check: Callable[[], None]) -> None:
        """`check` raises when the stack has died, so that nobody waits for it."""
        self.settings = settings
        self.console = console
        self.check = check
        self.rounds: dict[int, Round] = {}
        self.champion_hash = BASE_ADAPTER
        self.latest = ""
        self.heard = time.monotonic()
        self._changed = threading.Condition()
        self._log = ControlLog(settings.streams, [self._take])

    def __enter__(self) -> Self:
        self._log.start()
        self._log.wait_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._log.close()

    def wait_requested(self, number: int, quiet_seconds: float) -> bool:
        """Whether round `number` is ordered before the pool has stood still for so long."""
        with self._changed:
            deadline = time.monotonic() + quiet_seconds
            while number not in self.rounds and time.monotonic() < deadline:
                self._changed.wait(0.2)
                self.check()
            return number in self.rounds

    def wait_closed(self, number: int, stall_seconds: float) -> ModelEvent:
        """Wait for the end of round `number`, showing what the trainer says meanwhile.

        Raises:
            ListuneError: nothing was heard of the round for `stall_seconds`.
        """
        with self.console.status(f"round {number}") as shown:
            while True:
                with self._changed:
                    end = self.rounds[number].end
                    if end is not None:
                        break
                    self._changed.wait(0.5)
                shown.update(f"round {number}: {self.latest}")
                self.check()
                if time.monotonic() - self.heard > stall_seconds:
                    raise ListuneError(
                        f"nothing was heard of round {number} for {stall_seconds:.0f} s; "
                        "see the trainer's log"
                    )
        self.console.print(
            f"Round {number}: [bold]{end.kind}[/] {end.adapter_id or ''} {end.reason or ''}",
            highlight=False,
        )
        return end

    def status_line(self) -> str:
        """What the conductor says it waits for."""
        try:
            return str(loop_status(self.settings)["status"])
        except ListuneError as error:
            return str(error)

    def _take(self, record: ControlRecord) -> None:
        event = record.event
        with self._changed:
            self.heard = time.monotonic()
            if isinstance(event, RetrainRequest):
                # A second attempt is the same round, ordered again.
                self.rounds[event.round] = Round(event)
                self.latest = f"ordered, {event.k} listings to learn from"
            elif isinstance(event, ModelEvent):
                if event.round in self.rounds:
                    self.rounds[event.round].events.append(event)
                    self.latest = _say(event)
                if event.kind in (ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK):
                    self.champion_hash = event.adapter_hash or BASE_ADAPTER
            self._changed.notify_all()


def _say(event: ModelEvent) -> str:
    details = ", ".join(f"{name} {_short(value)}" for name, value in event.details.items())
    return f"{event.kind} {details}" if details else str(event.kind)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
