"""One line for a person: what the conductor waits for."""

import duckdb

from schemas.curation import COUNTS_BY
from streams.pool.backfill import outstanding, stale_count
from streams.pool.selection import fresh_count
from streams.pool.state import champion, fruitless_rounds, open_round
from streams.settings import StreamsSettings

# Without an event for so long, and with nothing to measure again, too few candidates is an answer.
QUIET_MS = 300_000


def status_line(con: duckdb.DuckDBPyConnection, settings: StreamsSettings, now_ms: int) -> str:
    """Such as `collecting 12/44` or `training round 2 (attempt 1)`."""
    current = open_round(con)
    if current is not None:
        verb = {"training": "training", "proposed": "deciding", "failed": "retrying"}
        doing = verb.get(current.state, "waiting for a trainer:")
        return f"{doing} round {current.round} (attempt {current.attempt})"
    rounds = _one(con, "SELECT coalesce(max(round), 0) FROM store.rounds")
    if settings.max_rounds and rounds >= settings.max_rounds:
        return f"done: {rounds} rounds, as many as max_rounds allows"
    fruitless = fruitless_rounds(con)
    if fruitless >= settings.pause_after:
        return f"paused: {fruitless} rounds without promotion"
    adapter = champion(con)
    have = fresh_count(con, adapter.hash, settings.selection, settings.min_gap)
    need = settings.k + settings.v
    waiting = outstanding(con, now_ms)
    if have < need and waiting:
        return f"measuring again {have}/{need} ({waiting} orders outstanding)"
    if have < need and _nothing_new(con, now_ms) and not stale_count(con, adapter, now_ms):
        measured = _one(
            con,
            "SELECT count(*) FROM store.samples s WHERE adapter_hash = $1 "
            "AND NOT EXISTS (FROM store.used u WHERE u.listing_id = s.listing_id)",
            adapter.hash,
        )
        nothing_left = f"no {COUNTS_BY[settings.selection]} left"
        return nothing_left if measured and not have else f"starved {have}/{need}"
    return f"collecting {have}/{need}"


def _nothing_new(con: duckdb.DuckDBPyConnection, now_ms: int) -> bool:
    """Whether there are samples, and the last one came a while ago."""
    return bool(
        _one(
            con,
            "SELECT coalesce(max(timestamp_ms) < $1, false)::INTEGER FROM store.samples",
            now_ms - QUIET_MS,
        )
    )


def _one(con: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> int:
    row = con.execute(sql, list(parameters)).fetchone()
    return int(row[0]) if row else 0
