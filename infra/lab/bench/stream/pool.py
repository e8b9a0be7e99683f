"""A pool of many listings, in a process of its own.

The first listings go through `Pool.apply` like any. The others are copies of theirs, made inside
DuckDB in the same tables: ids of their own in rows and payloads, gaps and deficits drawn anew. Then
the pool is opened afresh, and measured is what the conductor and the curate worker do with it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from infra.lab.bench.job import peak_memory_mb, say
from infra.lab.bench.stream.events import ListingEvents, make
from schemas.category import CategorySchemas
from schemas.events import BASE_ADAPTER, ListingPrediction, ListingRequest, ListingReview, now_ms
from schemas.topic_names import PREDICTIONS, REQUESTS, REVIEWS
from streams.pool import heldout
from streams.pool.deciding.conductor import Conductor
from streams.pool.deciding.selection import fresh_count, ranked, select
from streams.pool.spread import Shares
from streams.pool.store import Pool
from streams.settings import StreamsSettings

HELDOUT: dict[str, Any] = {"heldout_share": 0.1, "heldout_most": 1000, "heldout_least": 1}
"""Settings of the streams: as the profile `paper`, but that the first round need not wait."""

SEED_LISTINGS = 1000
REPEATS = 20
BATCHES, FULL_BATCHES = 10, 5

_COPIES = """
INSERT INTO store.{table} SELECT t.* REPLACE ({replaced})
FROM store.{table} t, range($first, $last) copies(n) WHERE t.listing_id NOT LIKE '%/%'
"""
_IDS = ("listing_id", "request_id", "prediction_id", "review_id")
_TABLES = {
    "requests": (*_IDS[:2], "payload"),
    "predictions": _IDS[:3],
    "reviews": _IDS,
    "samples": _IDS,
}


@dataclass(frozen=True)
class PoolJob:
    """How large a pool to make, in `folder`.

    Attributes:
        rows: listings.
        k: of what is selected from them.
        batch, full_batch: new reviews in each of the micro-batches that are applied to the full
            pool, of a moderate load and of a backlog.
    """

    folder: str
    rows: int
    k: int = 1000
    batch: int = 500
    full_batch: int = 4000


def carry_out(job: PoolJob) -> dict[str, Any]:
    """Seconds of each thing that is done with the pool, its rows, and what memory it took."""
    seeds = min(SEED_LISTINGS, job.rows)
    new = job.batch * BATCHES + job.full_batch * FULL_BATCHES
    schemas, events = make(seeds + new)
    settings = StreamsSettings(pool_dir=Path(job.folder), k=job.k, **HELDOUT)
    began = time.perf_counter()
    pool = _open(settings, schemas)
    feed = Feed(pool)
    feed.apply(events[:seeds], with_review=True)
    fill(pool, seeds, job.rows)
    made_s = time.perf_counter() - began
    pool.close()
    began = time.perf_counter()
    pool = _open(settings, schemas)
    open_s = time.perf_counter() - began
    measured = measure(pool, feed.on(pool), events[seeds:], settings, job)
    pool.close()
    return measured | {
        "made_s": made_s,
        "open_s": open_s,
        "file_mb": pool.path.stat().st_size / 1e6,
        "peak_memory_mb": peak_memory_mb(),
    }


class Feed:
    """Hands events to a pool as the worker does, with offsets that go on."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._next: dict[str, int] = {}

    def on(self, pool: Pool) -> "Feed":
        """The same, on the file opened anew."""
        self._pool = pool
        return self

    def apply(self, events: list[ListingEvents], with_review: bool) -> None:
        """Requests and predictions, or these and the reviews."""
        self._send(REQUESTS, [ListingRequest.model_validate_json(e.request) for e in events])
        answers = [ListingPrediction.model_validate_json(e.prediction) for e in events]
        self._send(PREDICTIONS, answers)
        if with_review:
            self.review(events)

    def review(self, events: list[ListingEvents]) -> None:
        """Reviews of listings that have their prediction."""
        self._send(REVIEWS, [ListingReview.model_validate_json(e.review) for e in events])

    def _send(self, topic: str, events: list[Any]) -> None:
        start = self._next.get(topic, 0)
        self._next[topic] = start + len(events)
        stamp = now_ms()
        record = self._pool.record
        self._pool.apply([record(topic, 0, start + n, stamp, e) for n, e in enumerate(events)])


def fill(pool: Pool, seeds: int, rows: int) -> None:
    """Copies the `seeds` listings of the pool until it has `rows`; a transaction every 100,000."""
    copies = -(-rows // seeds)
    portion = max(1, 100_000 // seeds)
    for first in range(1, copies, portion):
        last = min(first + portion, copies)
        for table, columns in _TABLES.items():
            replaced = {name: f"t.{name} || '/' || n" for name in columns}
            if "payload" in columns:
                hashes = "sha256(t.listing_id)[:32], sha256(t.listing_id || '/' || n)[:32]"
                title = f"replace(t.payload, {hashes})"
                replaced["payload"] = f"replace({title}, t.listing_id, t.listing_id || '/' || n)"
            if table in ("requests", "samples"):
                replaced["text_group"] = "xor(t.text_group, n)"  # as their titles: all others
            if table == "samples":
                replaced |= {name: "random() * 0.6" for name in ("gap", "deficit", "edits")}
            wanted = ", ".join(f"{what} AS {name}" for name, what in replaced.items())
            pool.con.execute(
                _COPIES.format(table=table, replaced=wanted), {"first": first, "last": last}
            )
        say(last * seeds, rows, "rows")
    bound = "(SELECT value FROM store.meta WHERE name = 'heldout_bound')"
    pool.con.execute(f"UPDATE store.samples SET held_out = sha256(listing_id) < {bound}")


def measure(
    pool: Pool, feed: Feed, new: list[ListingEvents], settings: StreamsSettings, job: PoolJob
) -> dict[str, Any]:
    """Seconds of each thing that is done with a full pool, several times; memory in between."""
    by = (settings.selection, settings.min_gap)
    trained, judges = Shares.among_trained(settings), Shares.among_judges(settings)
    most = settings.heldout_most
    best = ranked(settings.selection)
    wanted = {
        "champion": BASE_ADAPTER,
        "min_gap": settings.min_gap,
        "size": settings.k,
        "skip": 0,
    }
    seconds = {
        "top_k": _timed(lambda: pool.con.execute(best, wanted).fetchall()),
        "select": _timed(
            lambda: select(pool.con, BASE_ADAPTER, settings.k, *by, most, trained, judges)
        ),
        "fresh_count": _timed(lambda: fresh_count(pool.con, BASE_ADAPTER, *by)),
        "held_out_count": _timed(lambda: heldout.count(pool.con)),
    }
    resident_mb = psutil.Process().memory_info().rss / 1e6
    feed.apply(new, with_review=False)
    left = iter(new)
    seconds["apply"] = _reviewed(feed, left, job.batch, BATCHES)
    seconds["apply_full"] = _reviewed(feed, left, job.full_batch, FULL_BATCHES)
    (rows,) = pool.con.execute("SELECT count(*) FROM store.samples").fetchall()[0]
    # As nearly always: more is needed than is there. The first tick prunes, too.
    pool.settings = settings.model_copy(update={"k": 10 * rows})
    waiting = Conductor(pool)
    seconds["prune_tick"] = _timed(lambda: waiting.tick(now_ms(), 0, True), 1)
    seconds["tick"] = _timed(lambda: waiting.tick(now_ms(), 0, True), 5)
    pool.settings = settings
    # Chosen, written and decided; and pruned once more.
    seconds["round_tick"] = _timed(lambda: Conductor(pool).tick(now_ms(), 0, True), 1)
    return {"seconds": seconds, "resident_mb": resident_mb, "rows": rows}


def _open(settings: StreamsSettings, schemas: CategorySchemas) -> Pool:
    return Pool(settings, schemas, "bench", {})


def _reviewed(feed: Feed, left: Iterator[ListingEvents], size: int, times: int) -> list[float]:
    portions = [list(islice(left, size)) for _ in range(times)]
    return [_timed(partial(feed.review, portion), 1)[0] for portion in portions]


def _timed(work: Callable[[], object], times: int = REPEATS) -> list[float]:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return seconds
