"""What a pool holds, as a count and a hash of each table, to compare it with another one.

A hash does not depend on the order of rows: it is the exclusive or of the first 64 bits of each
row's MD5, and every row is there once. It covers the *retained window*, what a rebuild from the
topics can know: listings none of whose events lies before the first offsets kept, and rounds none
of whose events has been compacted away. Left out as well is what is no fact of the log:

- `reviews.shown`, `accepted` and `refused`, by the category schemas known when a review came, and
  `invalid`, `confidence`, `missing_required`, `tokens_read` and `tokens_written` of `predictions`,
  `reviews.request_id` and `text_group`, which a file from before they were kept lacks;
- `reviews.origins`, for both reasons;
- a round that is only decided, which is in the outbox and not in the log, and a round's lease;
- the tables `outbox`, `pending` and `backfill_orders`, which hold decisions under way, and
  `experiments`: when and why a canary ended is not told any more after compaction, where a move of
  the champion alias ended it.

Two pools that stand at the same offsets, have read the same records and measure by the same
category schemas (`Snapshot.schemas`) are equal in all tables, unless one has let go of listings
that the other still has: by `pool_max_rows`, or by a `pool_max_age_hours` shorter than the topics'
retention.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.kafka.partitions import Partition
from streams.pool.rows import EVENT_TABLES

Rows = Sequence[Sequence[Any]]
Ask = Callable[[str], Rows]
"""Runs one statement on a pool, here or in another process, and gives its rows."""

TABLES = ("requests", "predictions", "reviews", "samples", "rounds")
_LEFT_OUT = {
    "requests": "text_group",
    "predictions": "invalid, confidence, missing_required, tokens_read, tokens_written",
    "samples": "text_group",
    "reviews": "shown, accepted, refused, request_id, origins",
    "rounds": "lease_until_ms",
}
_JSON = {"predictions": ("requested", "values"), "reviews": ("submitted",)}
"""Columns of JSON, hashed by what they say: how it is written depends on who wrote it."""
_SAID = """
list_sort(list_filter(map_entries(payload::JSON::MAP(VARCHAR, JSON)),
                      lambda e: e.value NOT IN ('null', '{}')
                                AND NOT (e.key = 'pictures' AND e.value = '[]'))) AS payload
"""
"""What a request's event says, whichever version wrote it: a field that it leaves out is one that
is empty, and the order of fields is nobody's."""
_HASH = "md5_number_lower(to_json(t)::VARCHAR)"


@dataclass(frozen=True)
class Fingerprint:
    """One table: its rows within the window, and their hash."""

    rows: int
    hash: int

    def __str__(self) -> str:
        return f"{self.hash:016x}"


@dataclass(frozen=True)
class Snapshot:
    """A pool at one moment: where it stood in the log, and what it held of the window.

    outside: listings that have events before the window. rounds: the hash of each round.
    schemas: how many listings are outdated, and the hash of the category schemas in force.
    """

    watermarks: Mapping[Partition, int]
    listings: Mapping[str, Fingerprint]
    rounds: Mapping[int, int]
    outside: frozenset[str]
    schemas: Fingerprint

    def tables(self, compacted: Collection[int]) -> dict[str, Fingerprint]:
        """A fingerprint of each of `TABLES`, without the rounds that are `compacted`."""
        kept = [hash_ for round_, hash_ in self.rounds.items() if round_ not in compacted]
        rounds = 0
        for hash_ in kept:
            rounds ^= hash_
        return {**self.listings, "rounds": Fingerprint(len(kept), rounds)}


def take(
    ask: Ask, starts: Mapping[Partition, int], outside: Collection[str] | None = None
) -> Snapshot:
    """The snapshot of a pool, by one statement, so that it is of one moment.

    Args:
        starts: the first offset of each partition that is in the window.
        outside: the listings that are not in the window; by default those of this pool that have
            events before `starts`.
    """
    kinds = ("watermark", "table", "round", "outside", "schemas")
    found: dict[str, list[Any]] = {kind: [] for kind in kinds}
    for what, *row in ask(_statement(starts, outside)):
        found[what].append(row)
    return Snapshot(
        watermarks={(topic, partition): at for topic, partition, at in found["watermark"]},
        listings={table: Fingerprint(rows, hash_) for table, rows, hash_ in found["table"]},
        rounds={round_: hash_ for _, round_, hash_ in found["round"]},
        outside=frozenset(listing_id for listing_id, _, _ in found["outside"]),
        schemas=next(Fingerprint(outdated, hash_) for _, outdated, hash_ in found["schemas"]),
    )


def _statement(starts: Mapping[Partition, int], outside: Collection[str] | None) -> str:
    """One SELECT of (what, name, number, value), of rows of all five kinds."""
    first = ", ".join(f"('{topic}', {p}, {start})" for (topic, p), start in starts.items())
    if outside is None:
        events = " UNION ALL ".join(
            f"SELECT '{topic}' AS topic, partition, \"offset\", listing_id FROM store.{table}"
            for topic, table in EVENT_TABLES.items()
        )
        left_out = (
            f"SELECT DISTINCT listing_id FROM ({events}) JOIN starts USING (topic, partition) "
            'WHERE "offset" < start'
        )
    else:
        listed = json.dumps(sorted(outside)).replace("'", "''")
        left_out = f"SELECT unnest(from_json('{listed}', '[\"VARCHAR\"]')) AS listing_id"
    tables = " UNION ALL ".join(
        f"SELECT 'table', '{table}', count(*), coalesce(bit_xor({_HASH}), 0) "
        f"FROM (SELECT {_columns(table)} FROM store.{table} ANTI JOIN outside USING (listing_id)) t"
        for table in TABLES
        if table != "rounds"
    )
    return f"""
        WITH starts(topic, partition, start) AS (VALUES {first}),
        outside AS MATERIALIZED ({left_out})
        SELECT 'watermark', topic, partition, next_offset::UBIGINT FROM store.watermarks
        UNION ALL {tables}
        UNION ALL SELECT 'round', '', round, {_HASH} FROM (
            SELECT {_columns("rounds")} FROM store.rounds WHERE state <> 'decided') t
        UNION ALL SELECT 'outside', listing_id, 0, 0 FROM outside
        UNION ALL SELECT 'schemas', '', (SELECT count(*) FROM store.outdated),
            coalesce(bit_xor({_HASH}), 0)
            FROM (SELECT category, hash FROM store.categories) t
        """


def _columns(table: str) -> str:
    left_out = _LEFT_OUT.get(table)
    said = ", ".join(f'json("{name}") AS "{name}"' for name in _JSON.get(table, ()))
    if table == "requests":
        said = _SAID
    return (
        "*"
        + (f" EXCLUDE ({left_out})" if left_out else "")
        + (f" REPLACE ({said})" if said else "")
    )
