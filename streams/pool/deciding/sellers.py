"""One closed number per seller, as a canary, the watch after it and the guardrail are decided by.

The number is the net benefit of the first reviewed answer that a seller (or a listing without one)
got, at its first review: as the view `arm_sellers` has it, but read from a time on, so that a look
scans what is new and not the whole pool.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from streams.statistics.betting import BettingDifference
from streams.statistics.net_benefit import net_benefit

# A broker's clock and ours may differ by so much; nothing of before is let in by it, as what is
# asked for tells what came later.
CLOCKS_MS = 60_000

LARGEST_ERROR = 0.999  # what a sequence takes
# Sellers are looked at so seldom, and so that looks take no more than this share of the time: each
# reads all answers since the beginning.
LOOK_EVERY_MS = 1_000
LOOKS_SHARE = 0.05

Place = tuple[int, int, int]


class Pace:
    """When to look at sellers again."""

    def __init__(self) -> None:
        self._looked_ms = self._wait_ms = 0

    def is_due(self, now_ms: int) -> bool:
        """Whether the last look is long enough ago; also where the clock went back before it."""
        return not 0 <= now_ms - self._looked_ms < self._wait_ms

    @contextmanager
    def looking(self, now_ms: int) -> Iterator[None]:
        """Around a look. By this thread's own time, so that a busy machine delays none."""
        began = time.thread_time()
        yield
        took_ms = (time.thread_time() - began) * 1000
        self._looked_ms, self._wait_ms = now_ms, max(LOOK_EVERY_MS, round(took_ms / LOOKS_SHARE))


@dataclass(frozen=True)
class Seller:
    """What came of one seller. `net_benefit`: from -cost of a wrong suggestion up to 1."""

    place: Place
    arm: str | None
    adapter_hash: str
    net_benefit: float


def in_trial(con: duckdb.DuckDBPyConnection, name: str, since_ms: int, cost: float) -> list[Seller]:
    """All sellers of the experiment called `name`, in the log's order."""
    path = f'$."{name}"'
    return _closed(con, "p.arms ->> $path", "arm IS NOT NULL", since_ms, cost, path=path)


def of_adapter(
    con: duckdb.DuckDBPyConnection, adapter_hash: str, since_ms: int, cost: float
) -> list[Seller]:
    """All sellers with an answer of that adapter which was asked for and given after `since_ms`."""
    wanted = "p.adapter_hash = $hash AND p.timestamp_ms > $since"
    return _closed(con, "NULL", wanted, since_ms, cost, hash=adapter_hash, since=since_ms)


def difference(error: float) -> BettingDifference:
    """A sequence each of whose two tails errs in `error` of all cases, over all looks."""
    return BettingDifference(min(2 * error, LARGEST_ERROR))


def _closed(
    con: duckdb.DuckDBPyConnection,
    arm: str,
    wanted: str,
    since_ms: int,
    cost: float,
    **parameters: object,
) -> list[Seller]:
    rows = con.execute(
        f"""
        SELECT {arm} AS arm, p.adapter_hash, json_array_length(p.requested) AS asked,
               r.shown, r.accepted, r.timestamp_ms, r."offset", r.partition
        FROM store.predictions p JOIN store.reviews r USING (prediction_id)
        WHERE p.purpose = 'live' AND p.status = 'ok' AND r.shown IS NOT NULL AND asked > 0
          AND p.timestamp_ms >= $from AND r.timestamp_ms >= $from AND {wanted}
        QUALIFY row_number() OVER (PARTITION BY split_part(p.listing_id, chr(31), 1)
            ORDER BY r.timestamp_ms, r."offset", r.partition) = 1
        ORDER BY r.timestamp_ms, r."offset", r.partition
        """,
        {"from": since_ms - CLOCKS_MS, **parameters},
    ).fetchall()
    return [
        Seller(tuple(place), arm, adapter_hash, net_benefit(asked, shown, accepted, cost))
        for arm, adapter_hash, asked, shown, accepted, *place in rows
    ]
