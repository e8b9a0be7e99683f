"""The pool in a few figures, for `/metrics`."""

from dataclasses import dataclass

import duckdb

from streams import metrics
from streams.pool import outdated
from streams.pool.deciding.selection import fresh_count
from streams.pool.state import Champion, champion, open_round
from streams.settings import StreamsSettings


@dataclass(frozen=True)
class PoolFigures:
    """Samples, listings that a round could take, and where rounds and champion are.

    outdated: listings that are still to be measured by a changed category schema.
    """

    samples: int
    fresh: int
    outdated: int
    last_round: int
    round_state: str
    champion: Champion


def measure(con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> PoolFigures:
    """What the file holds now."""
    live, current = champion(con), open_round(con)
    samples, last = con.execute(
        "SELECT (SELECT count(*) FROM store.samples), "
        "(SELECT coalesce(max(round), 0) FROM store.rounds)"
    ).fetchall()[0]
    return PoolFigures(
        samples=samples,
        fresh=fresh_count(con, live.hash, settings.selection, settings.min_gap),
        outdated=outdated.count(con),
        last_round=last,
        round_state=current.state if current else "none",
        champion=live,
    )


def show(pool: PoolFigures, settings: StreamsSettings) -> None:
    """Sets the gauges to what the worker's pool holds."""
    metrics.SAMPLES.set(pool.samples)
    metrics.FRESH.set(pool.fresh)
    metrics.OUTDATED.set(pool.outdated)
    metrics.NEEDED.set(settings.k)
    metrics.LAST_ROUND.set(pool.last_round)
    metrics.ROUND_STATE.state(pool.round_state)
    metrics.show_champion(pool.champion.id, pool.champion.hash)
