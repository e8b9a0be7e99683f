"""A round's row in the pool: what is known of the round, and how it is written.

Which event leads to which state is `streams.pool.observe`'s to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from schemas.events import ManifestFile, ModelEvent, ModelEventKind, RetrainRequest
from streams.pool.state import CLOSED_STATES
from streams.settings import StreamsSettings


def round_id(event: RetrainRequest) -> str:
    """The identity of one attempt at a round, or of a further look at what came out of it."""
    attempt = f"{event.pool}:{event.round}:{event.attempt}"
    return f"{attempt}:look{event.look}" if event.look > 1 else attempt


@dataclass(frozen=True)
class KnownRound:
    """A round as this file has it.

    place: its attempt and look, in the order in which they follow each other. requested: those
    that its request was read of.
    """

    place: tuple[int, int] = (0, 0)
    state: str = "unknown"
    requested: tuple[int, int] = (0, 0)
    files: Sequence[ManifestFile] = ()


def known(con: duckdb.DuckDBPyConnection, round_: int) -> KnownRound:
    """What this file has of the round; the default where it has nothing."""
    row = con.execute(
        "SELECT attempt, look, state, request FROM store.rounds WHERE round = ?", [round_]
    ).fetchone()
    if row is None:
        return KnownRound()
    attempt, look, state, request = row
    if request is None:
        return KnownRound((attempt, look), state)
    asked = RetrainRequest.model_validate_json(request)
    return KnownRound((attempt, look), state, (asked.attempt, asked.look), asked.files)


def begin(
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


def record(con: duckdb.DuckDBPyConnection, event: RetrainRequest, state: str) -> None:
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


def record_asked(con: duckdb.DuckDBPyConnection, event: RetrainRequest, state: str) -> None:
    """As `record`; a further look adds its files to those of the round that it judges."""
    if event.look == 1:
        record(con, event, state)
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
            update={
                "attempt": event.attempt,
                "look": event.look,
                "files": files,
                "blind_held_out": event.blind_held_out,
            }
        )
    record(con, judged, state)
    # A look begins no round: the round was requested before, or nobody knows when.
    con.execute(
        "UPDATE store.rounds SET requested_ms = ?, looked_ms = ? WHERE round = ?",
        [requested_ms, event.created_ms, event.round],
    )


def renew_lease(
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


def enter(con: duckdb.DuckDBPyConnection, event: ModelEvent, state: str) -> None:
    """Moves the round of `event` to `state`, at the event's time."""
    con.execute(
        "UPDATE store.rounds SET state = ?, closed_ms = ? WHERE round = ?",
        [state, event.created_ms if state in CLOSED_STATES else None, event.round],
    )


def keep_proposal(con: duckdb.DuckDBPyConnection, event: ModelEvent) -> None:
    """Notes the event that a decision about the adapter answers."""
    con.execute(
        "UPDATE store.rounds SET proposal = ? WHERE round = ?",
        [event.model_dump_json(), event.round],
    )


def keep_results(con: duckdb.DuckDBPyConnection, event: ModelEvent) -> None:
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


def release(con: duckdb.DuckDBPyConnection, round_: int) -> None:
    """No champion descends from this round: what it learned from may be learned again."""
    con.execute("DELETE FROM store.used WHERE round = ?", [round_])


def take_place_of_challengers(con: duckdb.DuckDBPyConnection, round_: int) -> None:
    """There is one challenger at a time: the last one."""
    earlier = con.execute(
        "UPDATE store.rounds SET state = 'superseded', reason = 'a later round took its place' "
        "WHERE state = 'challenger' AND round < ? RETURNING round",
        [round_],
    ).fetchall()
    for (number,) in earlier:
        release(con, number)
