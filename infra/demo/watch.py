"""What became of the rounds, as the control topics tell it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
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
from streams.kafka.control_log import ControlLog, ControlRecord

GATE_KINDS = (ModelEventKind.PROPOSED, ModelEventKind.REJECTED, ModelEventKind.CHALLENGER)
EXPERIMENT_STARTED = ModelEventKind.EXPERIMENT_STARTED
ENDS = TERMINAL_KINDS | {ModelEventKind.EXPERIMENT_ENDED}
"""The kinds that end a round; the last is that of a canary that went back to the parent."""
# The conductor sees a review, and orders the look that it makes due, within so long.
SETTLE_SECONDS = 5.0


@dataclass
class WatchedRound:
    """One round: its order, how often it was looked at, and everything that was said of it."""

    request: RetrainRequest  # that of its latest attempt
    look: int = 1  # the latest that was ordered
    events: list[ModelEvent] = field(default_factory=list)  # of that attempt, all looks

    @property
    def end(self) -> ModelEvent | None:
        """The event that ended the latest attempt and look; None while that is under way, as it
        still is in a canary."""
        return self._last_end(lambda e: e.look >= self.look)

    @property
    def outcome(self) -> ModelEvent | None:
        """What became of the round so far; a further look that failed changes nothing."""
        return self._last_end(lambda e: e.kind is not ModelEventKind.FAILED or e.look == 1)

    @property
    def verdict(self) -> ModelEvent | None:
        """The gate's last word: it has the metrics, the look and the reason."""
        return next((e for e in reversed(self.events) if e.kind in GATE_KINDS), None)

    @property
    def in_canary(self) -> bool:
        """Whether its adapter is tried on a share of sellers now."""
        return self.end is None and len(self._since_canary()) < len(self.events)

    def _since_canary(self) -> list[ModelEvent]:
        """What was said since a canary began, as of a challenger too; all of it without one."""
        begun = [n for n, e in enumerate(self.events, 1) if e.kind is EXPERIMENT_STARTED]
        return self.events[begun[-1] if begun else 0 :]

    def _last_end(self, counts: Callable[[ModelEvent], bool]) -> ModelEvent | None:
        ends = (e for e in reversed(self._since_canary()) if e.kind in ENDS)
        return next((e for e in ends if counts(e)), None)


class RoundWatch:
    """Follows the control topics while the demo runs; a context manager."""

    def __init__(self, settings: Settings, console: Console, check: Callable[[], None]) -> None:
        """`check` raises when the stack has died, so that nobody waits for it."""
        self.settings = settings
        self.console = console
        self.check = check
        self.rounds: dict[int, WatchedRound] = {}
        self.champion_id = BASE_ADAPTER
        self.champion_hash = BASE_ADAPTER
        self.latest = ""
        self.heard = time.monotonic()
        self._changed = threading.Condition()
        self._log = ControlLog(settings.streams, [self.take])

    def __enter__(self) -> Self:
        self._log.start()
        self._log.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()

    def wait_requested(self, number: int, quiet_seconds: float) -> bool:
        """Whether round `number` is ordered before the pool has stood still for so long.

        It does not stand still while an earlier round is tried or looked at again.

        Raises:
            ListuneError: as `wait_closed` raises.
        """
        deadline = time.monotonic() + quiet_seconds
        while number not in self.rounds and time.monotonic() < deadline:
            if self._wait_under_way():
                deadline = time.monotonic() + quiet_seconds
            self._wait(0.2)
        return number in self.rounds

    def wait_closed(self, number: int) -> ModelEvent:
        """Wait for the end of round `number`, showing what the trainer says meanwhile.

        Raises:
            ListuneError: nothing was heard of the round for `demo.stall_minutes`.
        """
        stall_seconds = self.settings.demo.stall_minutes * 60
        name = f"round {number}"
        with self.console.status(name) as shown:
            while (end := self.rounds[number].end) is None:
                self._wait(0.5)
                shown.update(f"{name}: {self.latest}")
                if time.monotonic() - self.heard > stall_seconds:
                    see = "see the trainer's log"
                    if self.rounds[number].in_canary:
                        see = (
                            "its canary waits for sellers; set LISTUNE_STREAMS__CANARY__SHARE to 0"
                        )
                    raise ListuneError(
                        f"nothing was heard of {name} for {stall_seconds:.0f} s; {see}"
                    )
        verdict = self.rounds[number].verdict
        # A promotion is the conductor's word; the reason for it is the gate's.
        reason = end.reason or (verdict.reason if verdict else None)
        look = f", look {end.look}" if end.look > 1 else ""
        said = " ".join(filter(None, (f"[bold]{end.kind}[/]", end.adapter_id)))
        self.console.print(
            f"Round {number}{look}: {said}" + (f": {reason}" if reason else ""), highlight=False
        )
        return end

    def wait_settled(self, settle_seconds: float = SETTLE_SECONDS) -> None:
        """Wait for what is under way, and for a look that the last reviews make due.

        Raises:
            ListuneError: as `wait_closed` raises.
        """
        deadline = time.monotonic() + settle_seconds
        while self._wait_under_way() or (self._challenger() and time.monotonic() < deadline):
            self._wait(0.2)

    def status_line(self) -> str:
        """What the conductor says it waits for."""
        try:
            return str(loop_status(self.settings)["status"])
        except ListuneError as error:
            return str(error)

    def take(self, record: ControlRecord) -> None:
        """One record of a control topic; called on the log's thread."""
        event = record.event
        with self._changed:
            self.heard = time.monotonic()
            if isinstance(event, RetrainRequest):
                self._ordered(event)
            elif isinstance(event, ModelEvent):
                made = self.rounds.get(event.round)
                # What is still said of an earlier attempt is of no account.
                if made is not None and event.attempt >= made.request.attempt:
                    made.events.append(event)
                    self.latest = _say(event)
                if event.kind in (ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK):
                    self.champion_id = event.adapter_id or BASE_ADAPTER
                    self.champion_hash = event.adapter_hash or BASE_ADAPTER
            self._changed.notify_all()

    def _ordered(self, request: RetrainRequest) -> None:
        if request.look == 1:
            # A second attempt is the same round, ordered again.
            self.rounds[request.round] = WatchedRound(request)
            self.latest = f"ordered, {request.k} listings to learn from"
        elif request.round in self.rounds:
            self.rounds[request.round].look = request.look
            self.latest = f"look {request.look} ordered"

    def _wait_under_way(self) -> bool:
        """Wait for the end of a round that is under way; whether there was one."""
        number = next((n for n, made in list(self.rounds.items()) if made.end is None), None)
        if number is not None:
            self.wait_closed(number)
        return number is not None

    def _challenger(self) -> bool:
        """Whether some round is undecided."""
        outcomes = [made.outcome for made in list(self.rounds.values())]
        return any(o is not None and o.kind is ModelEventKind.CHALLENGER for o in outcomes)

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait(seconds)
        self.check()


def _say(event: ModelEvent) -> str:
    details = ", ".join(f"{name} {_short(value)}" for name, value in event.details.items())
    return f"{event.kind} {details}" if details else str(event.kind)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
