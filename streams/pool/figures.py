"""The pool in a few figures, for `/metrics`."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from streams import metrics
from streams.pool import outdated
from streams.pool.deciding.selection import fresh_count
from streams.pool.state import Champion, champion, open_round
from streams.settings import StreamsSettings


@dataclass(frozen=True)
class PoolFigures:
    """One shard's: samples, listings that a round could take, and where rounds and champion are.

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


def show(shards: Sequence[PoolFigures], settings: StreamsSettings) -> None:
    """Sets the gauges to what the worker's shards hold together."""
    metrics.SAMPLES.set(sum(shard.samples for shard in shards))
    metrics.FRESH.set(sum(shard.fresh for shard in shards))
    metrics.OUTDATED.set(sum(shard.outdated for shard in shards))
    metrics.NEEDED.set(settings.k)
    first = shards[0]
    metrics.LAST_ROUND.set(first.last_round)
    metrics.ROUND_STATE.state(first.round_state)
    metrics.show_champion(first.champion.id, first.champion.hash)
