"""Events that were decided and are still to be published.

A decision and its outbox row are written in one transaction; the shell publishes the rows in order,
awaits each delivery report, then calls `done`. A crash between the two publishes an event twice,
never not at all; every reader takes an event of one identity once. Before it publishes a
`RetrainRequest` the shell looks whether the log has that pool, round, attempt and look already.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from schemas.events import Event


@dataclass(frozen=True)
class OutboxRow:
    """One event to publish; `payload` is what stands on the topic."""

    id: int
    topic: str
    key: str
    payload: bytes


def add(con: duckdb.DuckDBPyConnection, topic: str, key: str, event: Event) -> None:
    """Puts `event` last; call it inside the transaction of the decision."""
    con.execute(
        "INSERT INTO store.outbox VALUES (nextval('store.outbox_order'), ?, ?, ?, ?)",
        [topic, key, event.to_bytes().decode(), event.created_ms],
    )


def pending(con: duckdb.DuckDBPyConnection, limit: int) -> list[OutboxRow]:
    """The first `limit` events to publish, in the order of the decisions."""
    rows = con.execute(
        "SELECT id, topic, key, payload FROM store.outbox ORDER BY id LIMIT ?", [limit]
    ).fetchall()
    return [OutboxRow(id, topic, key, payload.encode()) for id, topic, key, payload in rows]


def done(con: duckdb.DuckDBPyConnection, ids: Sequence[int]) -> None:
    """Forgets events whose delivery was reported."""
    if ids:
        con.execute(
            "DELETE FROM store.outbox WHERE id IN (SELECT unnest(from_json($1, '[\"BIGINT\"]')))",
            [json.dumps(list(ids))],
        )
