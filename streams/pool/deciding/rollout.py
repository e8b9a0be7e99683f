"""How an adapter comes to answer sellers: at once or by a canary, and back again if they get less.

Every answer here is an event for the conductor to say; the round's state and the alias change when
it comes back through the log. What a canary sees is read in `deciding.canary`, what the watch after
it sees in `deciding.watch`.
"""

from typing import Any

import duckdb

from schemas.events import ModelEvent, ModelEventKind, new_id
from schemas.experiment import CANARY_ARM, CHAMPION, PARENT_ARM
from streams import metrics
from streams.pool.deciding.canary import PASSED, Canary, Outcome, Reading, experiment_of
from streams.pool.deciding.watch import Watch, Watched
from streams.pool.observe import REFERENCE
from streams.pool.state import (
    Champion,
    OpenRound,
    challenger,
    champion,
    find_adapter,
    open_round,
    parent_of,
)
from streams.pool.trials import STARTED_MS, Running, Trial
from streams.settings import StreamsSettings

WORKER = "conductor"
WISHED = "a person asked for it"


class Rollout:
    """Answers proposals, conducts the canary and watches the champion that came out of one."""

    def __init__(self, con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
        self._con, self._settings = con, settings
        self._canary = Canary(con, settings.canary)
        self._watch = Watch(con, settings.canary)
        self._running = Running()
        self._watched: Watched | None = None

    def look(self, running: Running, now_ms: int) -> None:
        """Takes note of what runs and of the champion that is watched; call it first in a tick."""
        self._running, self._watched = running, self._watch.read(now_ms)

    def due(self, current: OpenRound | None, now_ms: int) -> ModelEvent | None:
        """What is to be said now of the adapter that is proposed, tried or live."""
        trial = self._running.canary
        if trial is not None and (current is None or current.state != "canary"):
            # As the round of a worker that had the pool meanwhile may leave it.
            over = ModelEvent(
                kind=ModelEventKind.EXPERIMENT_ENDED, pool=self._settings.pool, round=0
            )
            return _back(over, trial, now_ms, "its round is over")
        if (fell := self._take_back(now_ms)) is not None:
            return fell
        if current is None:
            return self._try_challenger(now_ms)
        if current.state not in ("proposed", "canary") or current.proposal is None:
            return None
        proposal = current.proposal
        if current.parent_hash != champion(self._con).hash:
            why = "its parent is no longer champion"
            return answer(proposal, ModelEventKind.SUPERSEDED, now_ms, why)
        if current.state == "canary":
            return self._conduct(proposal, trial, now_ms)
        if self._settings.canary.share:
            return self._try(proposal, now_ms, passed_gate=True)
        return answer(proposal, ModelEventKind.PROMOTED, now_ms)

    def wished(
        self, event_id: str, kind: ModelEventKind, adapter_id: str | None, now_ms: int
    ) -> ModelEvent | None:
        """What a wish about the canary comes to: its adapter to all, or back; None for any other.

        A rollback that names no adapter takes back what is newest, and that is the canary's.
        """
        trial, current = self._running.canary, open_round(self._con)
        if trial is None or current is None or current.proposal is None:
            return None
        started, details = current.proposal, {"wish": event_id}
        rollback = kind == ModelEventKind.ROLLBACK_REQUESTED
        if adapter_id == started.adapter_id and not rollback:
            return answer(started, ModelEventKind.PROMOTED, now_ms, WISHED, details=details)
        if adapter_id == champion(self._con).id or (rollback and adapter_id is None):
            return _back(started, trial, now_ms, WISHED, **details)
        return None

    def status(self, now_ms: int) -> str | None:
        """Where the canary stands, in place of the rest of the status; None where none runs."""
        trial = self._running.canary
        seen = self._canary.read(trial, now_ms) if trial else Reading()
        metrics.CANARY_SELLERS.labels(CANARY_ARM).set(seen.sellers)
        metrics.CANARY_SELLERS.labels(PARENT_ARM).set(seen.parents)
        current = open_round(self._con) if trial else None
        if trial is None or current is None or current.proposal is None:
            return None
        passed_gate = bool(current.proposal.details.get(PASSED))
        waits_for = self._canary.waits_for(seen, trial, passed_gate)
        left = _left_by(self._running.experiment)
        return f"canary {current.proposal.adapter_id} {waits_for}{left}"

    def watching(self) -> list[str]:
        """Whom it watches, and how far that is; nothing where it watches nobody."""
        return [str(self._watched)] if self._watched else []

    def watched_by(self) -> tuple[str, int] | None:
        """The adapter that is watched, and from when on its answers count: what is to be kept."""
        return (self._watched.adapter_hash, self._watched.tried_ms) if self._watched else None

    def _try_challenger(self, now_ms: int) -> ModelEvent | None:
        """Lets sellers decide about an adapter that held-out listings left undecided."""
        canary = self._settings.canary
        waiting = challenger(self._con) if canary.challengers and canary.share else None
        if waiting is None or waiting.proposal is None or not waiting.proposal.adapter_uri:
            return None
        return self._try(waiting.proposal, now_ms, passed_gate=False)

    def _try(self, proposal: ModelEvent, now_ms: int, passed_gate: bool) -> ModelEvent:
        return answer(
            proposal,
            ModelEventKind.EXPERIMENT_STARTED,
            now_ms,
            experiment=experiment_of(proposal, self._settings.canary.share),
            details={**proposal.details, STARTED_MS: now_ms, PASSED: passed_gate},
        )

    def _conduct(self, started: ModelEvent, trial: Trial | None, now_ms: int) -> ModelEvent | None:
        """To all, or back to the parent, once the sellers' reviews say which."""
        if trial is None:
            why = "the champion alias moved, which ended its canary"
            return answer(started, ModelEventKind.SUPERSEDED, now_ms, why)
        seen = self._canary.read(trial, now_ms)
        passed_gate = bool(started.details.get(PASSED))
        decision = self._canary.decide(seen, trial, passed_gate, now_ms)
        if decision is None:
            return None
        outcome, why = decision
        figures = {"sellers": seen.sellers, "parent_sellers": seen.parents}
        if outcome is Outcome.BACK:
            return _back(started, trial, now_ms, why, **figures)
        details = {**figures, REFERENCE: self._canary.least_of_parent()}
        return answer(started, ModelEventKind.PROMOTED, now_ms, why, details=details)

    def _take_back(self, now_ms: int) -> ModelEvent | None:
        """Takes back a champion that a canary let go to all, if all its sellers get less by it."""
        watched = self._watched
        if watched is None or not watched.raised:
            return None
        parent_id = parent_of(self._con, watched.adapter_hash)
        parent = find_adapter(self._con, parent_id) if parent_id else None
        if parent is None:
            return None
        return alias_move(
            self._settings.pool,
            ModelEventKind.ROLLED_BACK,
            champion(self._con),
            parent,
            now_ms,
            f"{watched.sellers} sellers after its canary get less by {watched.adapter_id} than by "
            f"its parent: net benefit {watched.net_benefit:+.2f}, the parent's was at least "
            f"{watched.reference:+.2f}",
            {"sellers": watched.sellers},
        )


def answer(
    proposal: ModelEvent,
    kind: ModelEventKind,
    now_ms: int,
    reason: str | None = None,
    **changes: Any,
) -> ModelEvent:
    """What becomes of the adapter that `proposal` is about."""
    said = {
        "event_id": new_id(),
        "created_ms": now_ms,
        "kind": kind,
        "worker": WORKER,
        "reason": reason,
        "experiment": None,
    }
    return proposal.model_copy(update=said | changes)


def _left_by(experiment: Trial | None) -> str:
    """What the experiment that runs leaves to a canary; empty where that is all."""
    if experiment is None:
        return ""
    shares, name = experiment.experiment.shares(), experiment.experiment.name
    taken = sum(shares[arm.name] for arm in experiment.experiment.arms if arm.answers != CHAMPION)
    return f"; experiment {name} leaves it {1 - taken:.0%} of sellers" if taken else ""


def alias_move(
    pool: str,
    kind: ModelEventKind,
    now_live: Champion,
    target: Champion,
    now_ms: int,
    reason: str,
    details: dict[str, Any],
) -> ModelEvent:
    """The champion alias goes from `now_live` to `target`, without a round."""
    return ModelEvent(
        created_ms=now_ms,
        kind=kind,
        pool=pool,
        round=0,
        adapter_id=target.id,
        adapter_hash=target.hash,
        adapter_uri=target.uri,
        worker=WORKER,
        reason=reason,
        details={**details, "from_id": now_live.id, "from_hash": now_live.hash},
    )


def _back(
    started: ModelEvent, trial: Trial, now_ms: int, reason: str, **details: Any
) -> ModelEvent:
    """The canary's sellers get the parent again."""
    return answer(
        started,
        ModelEventKind.EXPERIMENT_ENDED,
        now_ms,
        reason,
        experiment=trial.experiment,
        details={STARTED_MS: trial.started_ms, **details},
    )
