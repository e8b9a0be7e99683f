"""What the control log says, written down: rounds, adapters, the champion alias, wishes, and by
`streams.pool.trials` experiments.

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
from schemas.topic_names import MODEL_EVENTS, RETRAIN
from streams.pool.manifest import mark_used_from_manifest
from streams.pool.state import CLOSED_STATES, FINAL_STATES
from streams.pool.trials import EXPERIMENT_KINDS, observe_experiment
from streams.settings import StreamsSettings

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
_ENDS_OF_CANARY = {ModelEventKind.PROMOTED, ModelEventKind.SUPERSEDED}
_ALIAS_MOVES = {ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK}

REFERENCE = "watch_reference"
"""In the details of a promotion by a canary: what its parent's net benefit surely was at least, by
which its watch goes (`streams.pool.deciding.watch`)."""


def round_id(pool: str, round_: int, attempt: int, look: int = 1) -> str:
    """The identity of one attempt at a round, or of a further look at what came out of it."""
    return f"{pool}:{round_}:{attempt}" + (f":look{look}" if look > 1 else "")


def observe(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, event: ModelEvent | RetrainRequest
) -> None:
    """Applies one control event; call it inside the transaction of its offset.

    Rounds of other pools on the topic are passed over; the champion alias is one for all of them.
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
    ours = event.pool == settings.pool
    if ours and event.kind in EXPERIMENT_KINDS and not _is_ours(con, event.event_id):
        _void(con)
    observe_experiment(con, settings, event)
    if ours and event.kind in _ROUND_KINDS and event.round > 0:
        _observe_round(con, settings, event)
    if ours and event.kind in EXPERIMENT_KINDS and event.round > 0:
        _observe_canary(con, event)
    con.execute("DELETE FROM store.pending WHERE event_id = ?", [event.event_id])


def _seen(con: duckdb.DuckDBPyConnection, event_id: str) -> bool:
    inserted = con.execute(
        "INSERT OR IGNORE INTO store.control_events VALUES (?) RETURNING event_id", [event_id]
    ).fetchone()
    return inserted is None


def take_over(con: duckdb.DuckDBPyConnection) -> None:
    """A file from before challengers: what it calls an undecided round is one, as in the log."""
    con.execute("UPDATE store.rounds SET state = 'challenger' WHERE state = 'inconclusive'")
    for (number,) in con.execute(
        "SELECT max(round) FROM store.rounds WHERE state IN ('promoted', 'challenger')"
    ).fetchall():
        _take_place_of_challengers(con, number)


def _observe_request(con: duckdb.DuckDBPyConnection, event: RetrainRequest) -> None:
    identity = round_id(event.pool, event.round, event.attempt, event.look)
    place = (event.attempt, event.look)
    known = _known_round(con, event.round)
    if place > known.requested and not _is_ours(con, identity):
        _void(con)
        known = _known_round(con, event.round)
    con.execute("DELETE FROM store.pending WHERE event_id = ?", [identity])
    if known.state == "decided" and known.files != event.files:
        # Both this file and the worker that had the pool meanwhile decided on this round.
        con.execute("DELETE FROM store.used WHERE round = ?", [event.round])
    if place > known.place:
        _begin(con, event.round, place, known.place)
        _record(con, event, "requested" if event.look == 1 else "judging")
    elif event.attempt < known.place[0]:
        pass  # the events of a later attempt came first: this one is over
    elif known.state in ("unknown", "decided"):
        _record(con, event, "requested")
    elif place > known.requested:  # the round's own events came first: they know its state
        _record(con, event, known.state)
    if event.look == 1 and known.state != "superseded":
        mark_used_from_manifest(con, event.files, event.round)
    # One round is open at a time: the end of an earlier one was compacted away, or is on its way.
    con.execute(
        "UPDATE store.rounds SET state = 'closed', closed_ms = ? "
        "WHERE round < ? AND closed_ms IS NULL",
        [event.created_ms, event.round],
    )


@dataclass(frozen=True)
class _Known:
    """A round as this file has it.

    place: its attempt and look, in the order in which they follow each other. requested: those
    that its request was read of.
    """

    place: tuple[int, int] = (0, 0)
    state: str = "unknown"
    requested: tuple[int, int] = (0, 0)
    files: Sequence[ManifestFile] = ()


def _known_round(con: duckdb.DuckDBPyConnection, round_: int) -> _Known:
    row = con.execute(
        "SELECT attempt, look, state, request FROM store.rounds WHERE round = ?", [round_]
    ).fetchone()
    if row is None:
        return _Known()
    attempt, look, state, request = row
    if request is None:
        return _Known((attempt, look), state)
    asked = RetrainRequest.model_validate_json(request)
    return _Known((attempt, look), state, (asked.attempt, asked.look), asked.files)


def _is_ours(con: duckdb.DuckDBPyConnection, event_id: str) -> bool:
    """Whether this file decided it and waits for it."""
    found = con.execute("SELECT 1 FROM store.pending WHERE event_id = ?", [event_id]).fetchone()
    return found is not None


def _void(con: duckdb.DuckDBPyConnection) -> None:
    """Another worker decided for this pool meanwhile: what this file was about to say is stale.

    Of a rebuild, and of a file that never left its worker, there is nothing to take back.
    """
    con.execute("DELETE FROM store.pending")
    con.execute("DELETE FROM store.outbox WHERE topic IN (?, ?)", [RETRAIN, MODEL_EVENTS])
    con.execute(
        "DELETE FROM store.used WHERE round IN "
        "(SELECT round FROM store.rounds WHERE state = 'decided')"
    )
    con.execute("DELETE FROM store.rounds WHERE state = 'decided'")


def _begin(
    con: duckdb.DuckDBPyConnection, round_: int, place: tuple[int, int], before: tuple[int, int]
) -> None:
    """A further attempt begins with nothing of the one before, which a rebuild may never see; a
    further look with what is known of the adapter."""
    attempt, look = place
    con.execute(
        "INSERT INTO store.rounds (round, attempt, look, state) VALUES (?, ?, ?, 'unknown') "
        "ON CONFLICT DO UPDATE SET attempt = excluded.attempt, look = excluded.look, "
        "state = excluded.state, lease_until_ms = NULL, proposal = NULL, closed_ms = NULL",
        [round_, attempt, look],
    )
    if attempt > before[0]:
        con.execute(
            "UPDATE store.rounds SET started_ms = NULL, reason = NULL, adapter_id = NULL, "
            "adapter_hash = NULL, metrics = NULL, parent_metrics = NULL, train_seconds = NULL, "
            "eval_seconds = NULL WHERE round = ?",
            [round_],
        )


def record_round(con: duckdb.DuckDBPyConnection, event: RetrainRequest, state: str) -> None:
    """Writes the round of `event` with `state`; a further attempt replaces the one before."""
    con.execute(
        """
        INSERT INTO store.rounds (round, attempt, state, parent_id, parent_hash, request,
                                  requested_ms, looked_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET attempt = excluded.attempt, state = excluded.state,
            parent_id = excluded.parent_id, parent_hash = excluded.parent_hash,
            request = excluded.request, requested_ms = excluded.requested_ms,
            looked_ms = excluded.looked_ms
        """,
        [
            event.round,
            event.attempt,
            state,
            event.parent_id,
            event.parent_hash,
            event.model_dump_json(),
            event.created_ms,
            event.created_ms,
        ],
    )


def _record(con: duckdb.DuckDBPyConnection, event: RetrainRequest, state: str) -> None:
    """As `record_round`; a further look adds its files to those of the round that it judges."""
    if event.look == 1:
        record_round(con, event, state)
        return
    row = con.execute(
        "SELECT request, requested_ms FROM store.rounds WHERE round = ?", [event.round]
    ).fetchone()
    request, requested_ms = row or (None, None)
    judged = event
    if request is not None:
        asked = RetrainRequest.model_validate_json(request)
        files = [*asked.files, *event.files]
        judged = asked.model_copy(
            update={"attempt": event.attempt, "look": event.look, "files": files}
        )
    record_round(con, judged, state)
    # A look begins no round: the round was requested before, or nobody knows when.
    con.execute(
        "UPDATE store.rounds SET requested_ms = ?, looked_ms = ? WHERE round = ?",
        [requested_ms, event.created_ms, event.round],
    )


def _renew_lease(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, event: ModelEvent
) -> None:
    """Counted from the event's own time, so that a replay gives the same; clocks are in step."""
    con.execute(
        "UPDATE store.rounds SET state = ?, lease_until_ms = "
        "greatest(coalesce(lease_until_ms, 0), ?) WHERE round = ? AND attempt = ? AND look = ? "
        "AND state IN ('decided', 'requested', 'training', 'judging', 'unknown')",
        [
            "training" if event.look == 1 else "judging",
            event.created_ms + int(settings.lease_s * 1000),
            event.round,
            event.attempt,
            event.look,
        ],
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
    # Compaction keeps the last move alone: who was champion before it was promoted, and its round,
    # of which nothing but the proposal is left, is not to be promoted again.
    con.execute(
        "UPDATE store.rounds SET state = 'promoted', closed_ms = ? "
        "WHERE state IN ('proposed', 'canary') AND adapter_hash = ?",
        [event.created_ms, str(event.details.get("from_hash"))],
    )
    reference = event.details.get(REFERENCE)
    con.execute(
        "INSERT INTO store.alias_moves VALUES (nextval('store.alias_order'), ?, ?, ?, ?, ?, ?, ?)",
        [
            event.event_id,
            event.kind.value,
            event.adapter_id or BASE_ADAPTER,
            event.adapter_hash or BASE_ADAPTER,
            event.adapter_uri,
            event.created_ms,
            reference if isinstance(reference, int | float) else None,
        ],
    )


def _observe_round(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, event: ModelEvent
) -> None:
    """Moves the round's state; what an attempt or a look says that is over, or a closed round, is
    passed, but for what was measured of the adapter."""
    known, place = _known_round(con, event.round), (event.attempt, event.look)
    if event.attempt < known.place[0] or known.state in FINAL_STATES:
        return
    if event.look > 1 or event.kind in (ModelEventKind.PROMOTED, ModelEventKind.CHALLENGER):
        # What is looked at again was left undecided before, whether or not that is still told.
        _take_place_of_challengers(con, event.round)
    if place > known.place:
        # The two control topics are read side by side: an attempt may speak before its request.
        _begin(con, event.round, place, known.place)
    elif known.state == "failed":
        return
    elif known.state == "canary" and event.kind not in _ENDS_OF_CANARY:
        return  # a trainer's word that was said before and is heard again
    elif known.state == "challenger" or place < known.place:
        _keep_results(con, event)
        return
    if event.kind is not ModelEventKind.HEARTBEAT:
        _keep_results(con, event)
    match event.kind:
        case ModelEventKind.STARTED | ModelEventKind.HEARTBEAT:
            _renew_lease(con, settings, event)
        case ModelEventKind.PROPOSED:
            _enter(con, event, "closed" if known.state == "closed" else "proposed")
            _keep_proposal(con, event)
        case ModelEventKind.CHALLENGER:
            _enter(con, event, event.kind.value)
            _keep_proposal(con, event)
        case ModelEventKind.PROMOTED | ModelEventKind.REJECTED:
            _enter(con, event, event.kind.value)
        case ModelEventKind.SUPERSEDED:
            _enter(con, event, "superseded")
            _release(con, event.round)
        case ModelEventKind.FAILED if event.look > 1:
            _enter(con, event, "challenger")  # the look is used up
        case ModelEventKind.FAILED:
            last = event.attempt >= settings.max_attempts
            _enter(con, event, "quarantined" if last else "failed")
        case _:
            raise AssertionError(f"{event.kind} belongs to no round")


def _observe_canary(con: duckdb.DuckDBPyConnection, event: ModelEvent) -> None:
    """A round's adapter is tried on a share of sellers, or was taken back from them.

    What a person took back is no verdict on what it learned from.
    """
    known, place = _known_round(con, event.round), (event.attempt, event.look)
    if place < known.place or known.state in FINAL_STATES:
        return
    if place > known.place:
        _begin(con, event.round, place, known.place)
    _keep_results(con, event)
    if event.kind is ModelEventKind.EXPERIMENT_STARTED:
        _enter(con, event, "closed" if known.state == "closed" else "canary")
        _keep_proposal(con, event)
    elif "wish" in event.details:
        _enter(con, event, "superseded")
        _release(con, event.round)
    else:
        _enter(con, event, "rejected")


def _keep_proposal(con: duckdb.DuckDBPyConnection, event: ModelEvent) -> None:
    con.execute(
        "UPDATE store.rounds SET proposal = ? WHERE round = ?",
        [event.model_dump_json(), event.round],
    )


def _take_place_of_challengers(con: duckdb.DuckDBPyConnection, round_: int) -> None:
    """There is one challenger at a time: the last one."""
    earlier = con.execute(
        "UPDATE store.rounds SET state = 'superseded', reason = 'a later round took its place' "
        "WHERE state = 'challenger' AND round < ? RETURNING round",
        [round_],
    ).fetchall()
    for (number,) in earlier:
        _release(con, number)


def _release(con: duckdb.DuckDBPyConnection, round_: int) -> None:
    """No champion descends from this round: what it learned from may be learned again."""
    con.execute("DELETE FROM store.used WHERE round = ?", [round_])


def _enter(con: duckdb.DuckDBPyConnection, event: ModelEvent, state: str) -> None:
    con.execute(
        "UPDATE store.rounds SET state = ?, closed_ms = ? WHERE round = ?",
        [state, event.created_ms if state in CLOSED_STATES else None, event.round],
    )


def _keep_results(con: duckdb.DuckDBPyConnection, event: ModelEvent) -> None:
    """Notes the reason, and of the judge's results those that the event carries."""
    trains = event.kind is ModelEventKind.STARTED and event.look == 1
    con.execute(
        """
        UPDATE store.rounds SET reason = coalesce($reason, reason),
            started_ms = coalesce($started, started_ms),
            adapter_id = coalesce($adapter_id, adapter_id),
            adapter_hash = coalesce($adapter_hash, adapter_hash),
            metrics = coalesce($metrics, metrics),
            parent_metrics = coalesce($parent_metrics, parent_metrics),
            train_seconds = coalesce($train_seconds, train_seconds),
            eval_seconds = coalesce($eval_seconds, eval_seconds)
        WHERE round = $round
        """,
        {
            "round": event.round,
            "reason": event.reason,
            "started": event.created_ms if trains else None,
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
