"""Who answers a request: the champion, or what the arm of its seller says. Pure.

`TrafficLog` follows the control log; its `now` is one unchanging `Traffic`, so that champion,
experiment and canary are always of one moment. `Traffic.plan` says who answers:

1. A live request's seller may be in an arm of the experiment, and that arm may have an answerer of
   its own.
2. Else the seller may be in an arm of the canary.
3. Else the champion answers.

The arm follows from the experiment in the log and the seller, and from nothing that a worker
remembers. So a retry, a restart and another worker find the same. Of each experiment its latest
record says all, which is what compaction leaves. An alias move ends the canaries of its pool.

An order to measure again is for the champion alone; a shadow order for an adapter on trial.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from schemas.events import BASE_ADAPTER, ListingRequest, ModelEvent, ModelEventKind, Purpose
from schemas.experiment import ADAPTER, CANARY_ARM, CHAMPION, Arm, Experiment
from streams import metrics
from streams.kafka.control_log import Champion, ChampionAlias, ControlRecord

log = logging.getLogger(__name__)

BASE = Champion()
_MOVES = (ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK)
_OVER = (ModelEventKind.REJECTED, ModelEventKind.SUPERSEDED)
_EXPERIMENTS = (ModelEventKind.EXPERIMENT_STARTED, ModelEventKind.EXPERIMENT_ENDED)
_ON_TRIAL = (ModelEventKind.PROPOSED, ModelEventKind.CHALLENGER)


class By(StrEnum):
    """What answers; the words are those of `schemas.experiment.Answers`."""

    CHAMPION = "champion"
    BASE = "base"
    BLIND = "blind"
    EXAMPLE = "example"
    ENDPOINT = "endpoint"
    ADAPTER = "adapter"


@dataclass(frozen=True)
class Plan:
    """Who answers one request, and the arms that its seller is in.

    `adapter` is what the engine is asked with; None where it is not asked, or where an arm's
    adapter is not known.
    """

    by: By
    adapter: Champion | None
    arms: dict[str, str] = field(default_factory=dict)
    fell_back: str | None = None

    @property
    def arm(self) -> str:
        """The arm that decided who answers; empty without one."""
        return next(reversed(self.arms.values()), "")

    @property
    def own(self) -> str | None:
        """The arm's own answerer, by a name; None where the champion answers anyway."""
        if self.by is By.CHAMPION:
            return None
        return f"{self.by}:{self.adapter.hash if self.adapter else ''}"


@dataclass(frozen=True)
class Traffic:
    """What the control log says about live traffic at one moment.

    `adapters`: by their hash, all that the log told a file of. `over`: hashes of those whose trial
    ended without promotion.
    """

    champion: Champion = BASE
    experiment: Experiment | None = None
    canary: Experiment | None = None
    adapters: Mapping[str, Champion] = field(default_factory=dict)
    over: frozenset[str] = frozenset()

    def plan(self, request: ListingRequest, written_ms: int) -> Plan:
        """Who answers `request`, whose record in Kafka is of `written_ms`."""
        if request.purpose is Purpose.SHADOW:
            return Plan(By.ADAPTER, self.adapters.get(request.adapter_hash or ""))
        arms: dict[str, str] = {}
        if request.purpose is Purpose.LIVE:
            for experiment in (self.experiment, self.canary):
                if experiment is None or _is_past(experiment, written_ms):
                    continue
                arm = experiment.arm_of(request.unit)
                if arm is not None:
                    arms[experiment.name] = arm.name
                    if arm.answers != CHAMPION:
                        return self._by_arm(arm, arms)
        return Plan(By.CHAMPION, self.champion, arms)

    def by_champion(self, plan: Plan, why: str) -> Plan:
        """The champion in place of the arm's own answerer."""
        return replace(plan, by=By.CHAMPION, adapter=self.champion, fell_back=why)

    def superseded(self, request: ListingRequest) -> str | None:
        """Why nobody needs the answer to an order any more; None where somebody does."""
        wanted = request.adapter_hash
        if request.purpose is Purpose.LIVE or wanted == self.champion.hash:
            return None
        if request.purpose is Purpose.BACKFILL:
            return "the adapter to be measured is no longer champion"
        if wanted not in self.adapters or wanted in self.over:
            return "the adapter to be tried is not known, or its trial is over"
        return None

    def _by_arm(self, arm: Arm, arms: dict[str, str]) -> Plan:
        if not arm.answers.startswith(ADAPTER):
            by = By(arm.answers)
            return Plan(by, BASE if by in (By.BASE, By.EXAMPLE) else None, arms)
        named = arm.answers.removeprefix(ADAPTER)
        adapter = self.adapters.get(arm.adapter_hash or "") or next(
            (one for one in self.adapters.values() if one.id == named), None
        )
        if arm.adapter_hash:
            uri = arm.adapter_uri or (adapter.uri if adapter else None)
            adapter = Champion(arm.adapter_id or named, arm.adapter_hash, uri)
        return Plan(By.ADAPTER, adapter, arms)


def _is_past(experiment: Experiment, written_ms: int) -> bool:
    return experiment.ends_ms is not None and written_ms >= experiment.ends_ms


class TrafficLog:
    """A callback of the control log. `now` is replaced as a whole: any thread may read it."""

    def __init__(self) -> None:
        self.now = Traffic()
        self._alias = ChampionAlias()
        # By the key of their record, in the order of their latest one, each with its pool.
        self._running: dict[str, tuple[str, Experiment]] = {}
        self._adapters: dict[str, Champion] = {}
        self._over: set[str] = set()

    def __call__(self, record: ControlRecord) -> None:
        """Takes one control record into account."""
        event = record.event
        if isinstance(event, ModelEvent):
            if event.kind is ModelEventKind.HEARTBEAT:
                return
            self._note_adapter(event)
            self._note_experiment(event)
            self._note_alias(event, record)
        elif event is not None or not (record.key or b"").startswith(b"experiment:"):
            return
        else:
            self._refuse(record)
        self.now = Traffic(
            self._alias.champion,
            self._latest(canary=False),
            self._latest(canary=True),
            dict(self._adapters),
            frozenset(self._over),
        )

    def _latest(self, canary: bool) -> Experiment | None:
        """The one that runs; of several the one with the latest record."""
        running = (one for _, one in reversed(self._running.values()) if one.is_canary is canary)
        return next(running, None)

    def _note_adapter(self, event: ModelEvent) -> None:
        if event.adapter_hash and event.adapter_hash != BASE_ADAPTER and event.adapter_uri:
            name = event.adapter_id or event.adapter_hash
            self._adapters[event.adapter_hash] = Champion(
                name, event.adapter_hash, event.adapter_uri
            )
        if event.adapter_hash and event.kind in _OVER:
            self._over.add(event.adapter_hash)
        elif event.adapter_hash and event.kind in _ON_TRIAL:
            self._over.discard(event.adapter_hash)

    def _note_experiment(self, event: ModelEvent) -> None:
        experiment = event.experiment
        if experiment is None or event.kind not in _EXPERIMENTS:
            return
        for arm in experiment.arms:
            if arm.adapter_hash and arm.adapter_uri:
                self._adapters[arm.adapter_hash] = Champion(
                    arm.adapter_id or arm.adapter_hash, arm.adapter_hash, arm.adapter_uri
                )
        # Taken out first, so that the order is that of the latest records, as after compaction.
        self._running.pop(event.key(), None)
        if event.kind is ModelEventKind.EXPERIMENT_STARTED:
            self._running[event.key()] = event.pool, experiment
        elif experiment.is_canary:
            tried = (arm.adapter_hash for arm in experiment.arms if arm.name == CANARY_ARM)
            self._over.update(hash_ for hash_ in tried if hash_)

    def _note_alias(self, event: ModelEvent, record: ControlRecord) -> None:
        before = self._alias.champion
        self._alias(record)
        if event.kind not in _MOVES:
            return
        self._running = {
            key: (pool, one)
            for key, (pool, one) in self._running.items()
            if pool != event.pool or not one.is_canary
        }
        self._over.add(before.hash)
        self._over.discard(self._alias.champion.hash)

    def _refuse(self, record: ControlRecord) -> None:
        """An experiment that cannot be read, such as one of a newer conductor, runs no more: after
        compaction nobody would know how it was before."""
        key = (record.key or b"").decode("utf-8", "replace")
        self._running.pop(key, None)
        metrics.REFUSED_EXPERIMENTS.inc()
        log.error(
            "%s cannot be read, so the champion answers its sellers: %s; use one release for all "
            "workers, or end the experiment",
            key,
            record.error,
        )
