"""What the control log says, written down: rounds, adapters, the champion alias, wishes, and by
`streams.pool.trials` experiments.

Nothing is decided here. The conductor's own events come back through the log like everyone's, and
only then change the state, so that the state can be rebuilt from the topics alone. Events are
applied in log order; one that comes twice counts once.
"""

import duckdb

from schemas.events import (
    BASE_ADAPTER,
    TERMINAL_KINDS,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
)
from schemas.topic_names import MODEL_EVENTS, RETRAIN
from streams.pool import round_rows
from streams.pool.manifest import mark_used_from_manifest
from streams.pool.state import FINAL_STATES
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
        round_rows.take_place_of_challengers(con, number)


def _observe_request(con: duckdb.DuckDBPyConnection, event: RetrainRequest) -> None:
    identity = round_rows.round_id(event)
    place = (event.attempt, event.look)
    known = round_rows.known(con, event.round)
    if place > known.requested and not _is_ours(con, identity):
        _void(con)
        known = round_rows.known(con, event.round)
    con.execute("DELETE FROM store.pending WHERE event_id = ?", [identity])
    if known.state == "decided" and known.files != event.files:
        # Both this file and the worker that had the pool meanwhile decided on this round.
        con.execute("DELETE FROM store.used WHERE round = ?", [event.round])
    if place > known.place:
        round_rows.begin(con, event.round, place, known.place)
        round_rows.record_asked(con, event, "requested" if event.look == 1 else "judging")
    elif event.attempt < known.place[0]:
        pass  # the events of a later attempt came first: this one is over
    elif known.state in ("unknown", "decided"):
        round_rows.record_asked(con, event, "requested")
    elif place > known.requested:  # the round's own events came first: they know its state
        round_rows.record_asked(con, event, known.state)
    if event.look == 1 and known.state != "superseded":
        mark_used_from_manifest(con, event.files, event.round)
    # One round is open at a time: the end of an earlier one was compacted away, or is on its way.
    con.execute(
        "UPDATE store.rounds SET state = 'closed', closed_ms = ? "
        "WHERE round < ? AND closed_ms IS NULL",
        [event.created_ms, event.round],
    )


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
        [event.created_ms, event.details.get("from_hash")],
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
    known, place = round_rows.known(con, event.round), (event.attempt, event.look)
    if event.attempt < known.place[0] or known.state in FINAL_STATES:
        return
    if event.look > 1 or event.kind in (ModelEventKind.PROMOTED, ModelEventKind.CHALLENGER):
        # What is looked at again was left undecided before, whether or not that is still told.
        round_rows.take_place_of_challengers(con, event.round)
    if place > known.place:
        # The two control topics are read side by side: an attempt may speak before its request.
        round_rows.begin(con, event.round, place, known.place)
    elif known.state == "failed":
        return
    elif known.state == "canary" and event.kind not in _ENDS_OF_CANARY:
        return  # a trainer's word that was said before and is heard again
    elif known.state == "challenger" or place < known.place:
        round_rows.keep_results(con, event)
        return
    if event.kind is not ModelEventKind.HEARTBEAT:
        round_rows.keep_results(con, event)
    match event.kind:
        case ModelEventKind.STARTED | ModelEventKind.HEARTBEAT:
            round_rows.renew_lease(con, settings, event)
        case ModelEventKind.PROPOSED:
            round_rows.enter(con, event, "closed" if known.state == "closed" else "proposed")
            round_rows.keep_proposal(con, event)
        case ModelEventKind.CHALLENGER:
            round_rows.enter(con, event, event.kind.value)
            round_rows.keep_proposal(con, event)
        case ModelEventKind.PROMOTED | ModelEventKind.REJECTED:
            round_rows.enter(con, event, event.kind.value)
        case ModelEventKind.SUPERSEDED:
            round_rows.enter(con, event, "superseded")
            round_rows.release(con, event.round)
        case ModelEventKind.FAILED if event.look > 1:
            round_rows.enter(con, event, "challenger")  # the look is used up
        case ModelEventKind.FAILED:
            last = event.attempt >= settings.max_attempts
            round_rows.enter(con, event, "quarantined" if last else "failed")
        case _:
            raise AssertionError(f"{event.kind} belongs to no round")


def _observe_canary(con: duckdb.DuckDBPyConnection, event: ModelEvent) -> None:
    """A round's adapter is tried on a share of sellers, or was taken back from them.

    What a person took back is no verdict on what it learned from.
    """
    known, place = round_rows.known(con, event.round), (event.attempt, event.look)
    if place < known.place or known.state in FINAL_STATES:
        return
    if place > known.place:
        round_rows.begin(con, event.round, place, known.place)
    round_rows.keep_results(con, event)
    if event.kind is ModelEventKind.EXPERIMENT_STARTED:
        round_rows.enter(con, event, "closed" if known.state == "closed" else "canary")
        round_rows.keep_proposal(con, event)
    elif "wish" in event.details:
        round_rows.enter(con, event, "superseded")
        round_rows.release(con, event.round)
    else:
        round_rows.enter(con, event, "rejected")
