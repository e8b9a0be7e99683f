"""One line for a person: what the conductor waits for."""

from collections.abc import Callable, Iterator

import duckdb

from schemas.curation import COUNTS_BY
from schemas.events import Trigger
from streams.pool import outdated
from streams.pool.deciding.backfill import outstanding, stale_count
from streams.pool.deciding.trigger import NextLook, Outlook
from streams.pool.state import champion, fruitless_rounds, last_round, open_round
from streams.settings import StreamsSettings

# Without an event for so long, and with nothing to measure again, too few candidates is an answer.
QUIET_MS = 300_000
_DOING = {
    "training": "training",
    "proposed": "deciding",
    "canary": "deciding",  # as long as one runs, its own line says more
    "failed": "retrying",
}
_WHY: dict[Trigger, str] = {
    "schedule": "a round is scheduled",
    "acceptance": "acceptance fell",
    "drift": "acceptance fell",
}


def status_line(
    con: duckdb.DuckDBPyConnection,
    settings: StreamsSettings,
    now_ms: int,
    look: Callable[[], Outlook],
    again: Callable[[], NextLook | None],
    lag: int = 0,
    alarm: str = "",
) -> str:
    """Such as `collecting 12/44 · cool-down 40 s` or `training round 2 (attempt 1)`.

    Args:
        look: what the trigger sees now; asked for only where nothing else is to be said.
        again: the next look at a challenger; asked for only where no round is open.
        lag: records that wait on the payload topics.
        alarm: what the alarm on falling acceptance says, if it has something to say.
    """
    current = open_round(con)
    if current is not None:
        if current.state == "judging":
            return f"judging round {current.round} again (look {current.look})"
        doing = _DOING.get(current.state, "waiting for a trainer:")
        return f"{doing} round {current.round} (attempt {current.attempt})"
    rounds = last_round(con)
    fruitless = fruitless_rounds(con)
    if settings.max_rounds and rounds >= settings.max_rounds:
        parts = [f"done: {rounds} rounds, as many as max_rounds allows"]
    elif fruitless >= settings.pause_after:
        parts = [f"paused: {fruitless} rounds without promotion"]
    else:
        seen = look()
        parts = [_collecting(con, settings, now_ms, seen), *_held_back(settings, seen, lag)]
    waiting = again()
    if waiting and (more := waiting.waits_for):
        name = waiting.challenger.adapter_id
        parts.append(f"challenger {name} waits for {more} more held-out listings")
    if listings := outdated.count(con):
        parts.append(f"{listings} listings to measure by a changed schema first")
    if alarm:
        parts.append(alarm)
    return " · ".join(parts)


def _collecting(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, now_ms: int, seen: Outlook
) -> str:
    """How far it is, and whether more is to come."""
    have, need = seen.have, seen.need
    adapter = champion(con)
    waiting = outstanding(con, now_ms)
    if have < need and waiting:
        return f"measuring again {have}/{need} ({waiting} orders outstanding)"
    if have < need and _nothing_new(con, now_ms) and not stale_count(con, adapter, now_ms):
        measured = _one(
            con,
            "SELECT count(*) FROM store.samples s WHERE adapter_hash = $1 AND NOT held_out "
            "AND NOT EXISTS (FROM store.used u WHERE u.listing_id = s.listing_id)",
            adapter.hash,
        )
        nothing_left = f"no {COUNTS_BY[settings.selection]} left"
        return nothing_left if measured and not have else f"starved {have}/{need}"
    return f"collecting {have}/{need}"


def _held_back(settings: StreamsSettings, seen: Outlook, lag: int) -> Iterator[str]:
    """What else a round waits for: its other triggers, and what keeps it from beginning."""
    if seen.held_out < seen.held_out_needed:
        yield f"judging needs {seen.held_out_needed} held-out listings, has {seen.held_out}"
    if seen.near_held_out:
        yield f"{seen.near_held_out} passed over, near-duplicates of held-out listings"
    if seen.over_share:
        yield f"{seen.over_share} passed over, beyond the share of one seller, category or product"
    if seen.have < seen.need:
        if seen.early and seen.have < seen.least:
            yield f"{_WHY[seen.early]}, a round waits for {seen.least}"
        elif seen.scheduled_in_ms:
            yield f"scheduled in {_rough(seen.scheduled_in_ms)}"
    if seen.cool_down_ms:
        yield f"cool-down {_rough(seen.cool_down_ms)}"
    if lag > settings.small_lag:
        yield f"{lag} records to read first"


def _rough(ms: int) -> str:
    """Rounded up, so that the line changes now and then and not every second."""
    for unit, unit_ms, step in (("s", 1_000, 10), ("min", 60_000, 1), ("h", 3_600_000, 1)):
        count = -(-ms // (unit_ms * step)) * step
        if count <= 120 or unit == "h":
            return f"{count} {unit}"
    raise AssertionError(ms)


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
