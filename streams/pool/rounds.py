"""What the control log says, written down: rounds, adapters, the champion alias, wishes.

Nothing is decided here. The conductor's own events come back through the log like everyone's, and
only then change the state, so that the state can be rebuilt from the topics alone. Events are
applied in log order; one that comes twice counts once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from schemas.events import (
    BASE_ADAPTER,
    TERMINAL_KINDS,
    ManifestFile,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
)
from streams.pool.manifest import mark_used_from_manifest
from streams.pool.state import CLOSED_STATES, FINAL_STATES
from streams.settings import StreamsSettings
from streams.topic_names import MODEL_EVENTS, RETRAIN

_WISHES = {
    ModelEventKind.ROLLBACK_REQUESTED,
    ModelEventKind.PROMOTION_REQUESTED,
    ModelEventKind.RETRAIN_REQUESTED,
}
_ROUND_KINDS = TERMINAL_KINDS | {
    ModelEventKind.STARTED,
    ModelEventKind.HEARTBEAT,
    ModelEventKind.PROPOSED,
}
_ALIAS_MOVES = {ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK}


def round_id(pool: str, round_: int, attempt: int) -> str:
    """The identity of one attempt at a round."""
    return f"{pool}:{round_}:{attempt}"


def observe(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, event: ModelEvent | RetrainRequest
) -> None:
    """Applies one control event; call it inside the transaction of its offset.

    Rounds of other pools are passed over; the champion alias is one for all pools.
    """
    if isinstance(event, RetrainRequest):
        if event.pool == settings.pool:
            _observe_request(con, event)
        return
    if event.kind is not ModelEventKind.HEARTBEAT and _seen(con, event.event_id):
        return
    if event.adapter_id and event.adapter_hash:
        _remember_adapter(con, event)
    if event.kind in _WISHES and event.pool == settings.pool:
        con.execute(
            "INSERT INTO store.wishes VALUES (?, ?, ?, ?)",
            [event.event_id, event.kind.value, event.adapter_id, event.created_ms],
        )
    if event.kind is ModelEventKind.RETRAIN_REQUESTED and event.pool == settings.pool:
        con.execute(
            "INSERT OR REPLACE INTO store.meta VALUES ('resumed_ms', ?)", [str(event.created_ms)]
        )
    if event.kind in _ALIAS_MOVES:
        _move_alias(con, settings.pool, event)
    if event.pool == settings.pool and event.kind in _ROUND_KINDS and event.round > 0:
        _observe_round(con, settings, event)
    con.execute("DELETE FROM store.pending WHERE event_id = ?", [event.event_id])


def _seen(con: duckdb.DuckDBPyConnection, event_id: str) -> bool:
    inserted = con.execute(
        "INSERT OR IGNORE INTO store.control_events VALUES (?) RETURNING event_id", [event_id]
    ).fetchone()
    return inserted is None


def _observe_request(con: duckdb.DuckDBPyConnection, event: RetrainRequest) -> None:
    identity = round_id(event.pool, event.round, event.attempt)
    known = _known_round(con, event.round)
    if event.attempt > known.requested and not _is_ours(con, identity):
        _void(con)
        known = _known_round(con, event.round)
    con.execute("DELETE FROM store.pending WHERE event_id = ?", [identity])
    attempt, state, requested = known.attempt, known.state, known.requested
    if state == "decided" and known.files != event.files:
        # Both this file and the worker that had the shard meanwhile decided on this round.
        con.execute("DELETE FROM store.used WHERE round = ?", [event.round])
    if event.attempt > attempt:
        _begin_attempt(con, event.round, event.attempt)
        record_round(con, event, "requested")
    elif event.attempt < attempt:
        pass  # the events of a later attempt came first: this one is over
    elif state in ("unknown", "decided"):
        record_round(con, event, "requested")
    elif event.attempt > requested:  # the round's own events came first: they know its state
        record_round(con, event, state)
    if state != "superseded":
        mark_used_from_manifest(con, event.files, event.round)
    # One round is open at a time: the end of an earlier one was compacted away, or is on its way.
    con.execute(
        "UPDATE store.rounds SET state = 'closed', closed_ms = ? "
        "WHERE round < ? AND closed_ms IS NULL",
        [event.created_ms, event.round],
    )


@dataclass(frozen=True)
class _Known:
    """A round as this file has it; `requested` is the attempt that its request was read of."""

    attempt: int = 0
    state: str = "unknown"
    requested: int = 0
    files: Sequence[ManifestFile] = ()


def _known_round(con: duckdb.DuckDBPyConnection, round_: int) -> _Known:
    row = con.execute(
        "SELECT attempt, state, request FROM store.rounds WHERE round = ?", [round_]
    ).fetchone()
    if row is None:
        return _Known()
    attempt, state, request = row
    if request is None:
        return _Known(attempt, state)
    asked = RetrainRequest.model_validate_json(request)
    return _Known(attempt, state, asked.attempt, asked.files)


def _is_ours(con: duckdb.DuckDBPyConnection, event_id: str) -> bool:
    """Whether this file decided it and waits for it."""
    found = con.execute("SELECT 1 FROM store.pending WHERE event_id = ?", [event_id]).fetchone()
    return found is not None


def _void(con: duckdb.DuckDBPyConnection) -> None:
    """Another worker decided in this shard meanwhile: what this file was about to say is stale.

    Of a rebuild, and of a file that never left its worker, there is nothing to take back.
    """
    con.execute("DELETE FROM store.pending")
    con.execute("DELETE FROM store.outbox WHERE topic IN (?, ?)", [RETRAIN, MODEL_EVENTS])
    con.execute(
        "DELETE FROM store.used WHERE round IN "
        "(SELECT round FROM store.rounds WHERE state = 'decided')"
    )
    con.execute("DELETE FROM store.rounds WHERE state = 'decided'")


def _begin_attempt(con: duckdb.DuckDBPyConnection, round_: int, attempt: int) -> None:
    """A further attempt begins with nothing of the one before, which a rebuild may never see."""
    con.execute(
        "INSERT INTO store.rounds (round, attempt, state) VALUES (?, ?, 'unknown') "
        "ON CONFLICT DO UPDATE SET attempt = excluded.attempt, state = excluded.state, "
        "lease_until_ms = NULL, started_ms = NULL, proposal = NULL, reason = NULL, "
        "adapter_id = NULL, adapter_hash = NULL, metrics = NULL, parent_metrics = NULL, "
        "train_seconds = NULL, eval_seconds = NULL",
        [round_, attempt],
    )


def record_round(con: duckdb.DuckDBPyConnection, event: RetrainRequest, state: str) -> None:
    """Writes the round of `event` with `state`; a further attempt replaces the one before."""
    con.execute(
        """
        INSERT INTO store.rounds (round, attempt, state, parent_id, parent_hash, request,
                                  requested_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET attempt = excluded.attempt, state = excluded.state,
            parent_id = excluded.parent_id, parent_hash = excluded.parent_hash,
            request = excluded.request, requested_ms = excluded.requested_ms
        """,
        [
            event.round,
            event.attempt,
            state,
            event.parent_id,
            event.parent_hash,
            event.model_dump_json(),
            event.created_ms,
        ],
    )


def _renew_lease(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, event: ModelEvent
) -> None:
    """Counted from the event's own time, so that a replay gives the same; clocks are in step."""
    con.execute(
        "UPDATE store.rounds SET state = 'training', lease_until_ms = "
        "greatest(coalesce(lease_until_ms, 0), ?) "
        "WHERE round = ? AND attempt = ? "
        "AND state IN ('decided', 'requested', 'training', 'unknown')",
        [event.created_ms + int(settings.lease_s * 1000), event.round, event.attempt],
    )


def _remember_adapter(con: duckdb.DuckDBPyConnection, event: ModelEvent) -> None:
    if event.adapter_hash == BASE_ADAPTER:
        return
    con.execute(
        """
        INSERT INTO store.adapters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET published = published OR excluded.published,
            adapter_uri = coalesce(excluded.adapter_uri, adapter_uri),
            parent_id = coalesce(excluded.parent_id, parent_id),
            parent_hash = coalesce(excluded.parent_hash, parent_hash),
            metrics = coalesce(excluded.metrics, metrics)
        """,
        [
            event.adapter_hash,
            event.adapter_id,
            event.adapter_uri,
            event.parent_id,
            event.parent_hash,
            event.round,
            event.kind in _ALIAS_MOVES or event.kind is ModelEventKind.PUBLISHED,
            event.metrics.model_dump_json() if event.metrics else None,
            event.created_ms,
        ],
    )


def _move_alias(con: duckdb.DuckDBPyConnection, pool: str, event: ModelEvent) -> None:
    if not _is_ours(con, event.event_id):
        if event.pool == pool:
            _void(con)
        # Not decided by this file: a rebuild. What was wished for before has been answered then.
        con.execute(
            "DELETE FROM store.wishes WHERE kind IN (?, ?)",
            [ModelEventKind.ROLLBACK_REQUESTED.value, ModelEventKind.PROMOTION_REQUESTED.value],
        )
    con.execute(
        "INSERT INTO store.alias_moves VALUES (nextval('store.alias_order'), ?, ?, ?, ?, ?, ?)",
        [
            event.event_id,
            event.kind.value,
            event.adapter_id or BASE_ADAPTER,
            event.adapter_hash or BASE_ADAPTER,
            event.adapter_uri,
            event.created_ms,
        ],
    )


def _observe_round(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, event: ModelEvent
) -> None:
    """Moves the round's state; what an attempt says that is over, or a closed round, is passed."""
    row = con.execute(
        "SELECT attempt, state FROM store.rounds WHERE round = ?", [event.round]
    ).fetchone()
    attempt, state = row or (0, "unknown")
    if event.attempt < attempt or state in FINAL_STATES:
        return
    if event.attempt > attempt:
        # The two control topics are read side by side: an attempt may speak before its request.
        _begin_attempt(con, event.round, event.attempt)
    elif state == "failed":
        return
    match event.kind:
        case ModelEventKind.STARTED:
            con.execute(
                "UPDATE store.rounds SET started_ms = ? WHERE round = ?",
                [event.created_ms, event.round],
            )
            _renew_lease(con, settings, event)
        case ModelEventKind.HEARTBEAT:
            _renew_lease(con, settings, event)
        case ModelEventKind.PROPOSED:
            _keep_results(con, event, "closed" if state == "closed" else "proposed")
            con.execute(
                "UPDATE store.rounds SET proposal = ? WHERE round = ?",
                [event.model_dump_json(), event.round],
            )
        case ModelEventKind.PROMOTED | ModelEventKind.REJECTED | ModelEventKind.INCONCLUSIVE:
            _keep_results(con, event, event.kind.value)
        case ModelEventKind.SUPERSEDED:
            _keep_results(con, event, "superseded")
            # No champion descends from this round: what it learned from may be learned again.
            con.execute("DELETE FROM store.used WHERE round = ?", [event.round])
        case ModelEventKind.FAILED:
            last = event.attempt >= settings.max_attempts
            _keep_results(con, event, "quarantined" if last else "failed")
        case _:
            raise AssertionError(f"{event.kind} belongs to no round")


def _keep_results(con: duckdb.DuckDBPyConnection, event: ModelEvent, state: str) -> None:
    """Sets state and reason, and of the judge's results those that the event carries."""
    con.execute(
        """
        UPDATE store.rounds SET state = $state, reason = coalesce($reason, reason),
            closed_ms = $closed, adapter_id = coalesce($adapter_id, adapter_id),
            adapter_hash = coalesce($adapter_hash, adapter_hash),
            metrics = coalesce($metrics, metrics),
            parent_metrics = coalesce($parent_metrics, parent_metrics),
            train_seconds = coalesce($train_seconds, train_seconds),
            eval_seconds = coalesce($eval_seconds, eval_seconds)
        WHERE round = $round
        """,
        {
            "state": state,
            "round": event.round,
            "closed": event.created_ms if state in CLOSED_STATES else None,
            "reason": event.reason,
            "adapter_id": event.adapter_id,
            "adapter_hash": event.adapter_hash,
            "metrics": event.metrics.model_dump_json() if event.metrics else None,
            "parent_metrics": (
                event.parent_metrics.model_dump_json() if event.parent_metrics else None
            ),
            "train_seconds": event.train_seconds,
            "eval_seconds": event.eval_seconds,
        },
    )
