"""The pool in a few figures, for `/metrics`."""

import duckdb

from streams import metrics
from streams.pool.selection import fresh_count
from streams.pool.state import champion, open_round
from streams.settings import StreamsSettings


def show(con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
    """Sets the gauges to what the pool holds now."""
    live, current = champion(con), open_round(con)
    samples, last = con.execute(
        "SELECT (SELECT count(*) FROM store.samples), "
        "(SELECT coalesce(max(round), 0) FROM store.rounds)"
    ).fetchall()[0]
    metrics.SAMPLES.set(samples)
    metrics.FRESH.set(fresh_count(con, live.hash, settings.selection, settings.min_gap))
    metrics.NEEDED.set(settings.k + settings.v)
    metrics.LAST_ROUND.set(last)
    metrics.ROUND_STATE.state(current.state if current else "none")
    metrics.show_champion(live.id, live.hash)
