"""The pool in a few figures, for `/metrics`."""

import duckdb

from streams import metrics
from streams.pool import outdated
from streams.pool.deciding.selection import fresh_count
from streams.pool.samples import textless_count
from streams.pool.spread import Shares
from streams.pool.state import champion, open_round
from streams.settings import StreamsSettings


def show(con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
    """Sets the gauges to what the file holds now."""
    live, current = champion(con), open_round(con)
    samples, last_round = con.execute(
        "SELECT (SELECT count(*) FROM store.samples), "
        "(SELECT coalesce(max(round), 0) FROM store.rounds)"
    ).fetchall()[0]
    metrics.SAMPLES.set(samples)
    limits = Shares.among_trained(settings).of(settings.k)
    fresh = fresh_count(con, live.hash, settings.selection, settings.min_gap, limits)
    metrics.FRESH.set(fresh.within)
    metrics.OUTDATED.set(outdated.count(con))
    metrics.TEXTLESS.set(textless_count(con))
    metrics.NEEDED.set(settings.k)
    metrics.LAST_ROUND.set(last_round)
    metrics.ROUND_STATE.state(current.state if current else "none")
    metrics.show_champion(live.id, live.hash)
