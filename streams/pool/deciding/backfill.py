"""Measuring again: after a promotion a gap of the older model says little about the new one.

The best stale, unused, reviewed listings are ordered anew under the champion. An order is a request
made of the live request with the text that the seller reviewed, asked under the schema in force,
with an identity made of listing, input and adapter, so that the same order sent twice has one
canonical answer.
"""

import hashlib
import json
from collections.abc import Callable

import duckdb

from schemas.aliases import asked_for
from schemas.category import CategorySchema, CategorySchemas
from schemas.events import ListingRequest, Purpose
from schemas.topic_names import BACKFILL
from streams.pool import outbox, spread
from streams.pool.deciding.selection import score
from streams.pool.spread import Shares
from streams.pool.state import Champion
from streams.settings import StreamsSettings

# An order is outstanding until its answer came; after this time it no longer holds others back.
ORDER_EXPIRES_MS = 3_600_000

_STALE = """
FROM (FROM store.samples WHERE NOT held_out WINDOW listing AS (PARTITION BY listing_id)
      QUALIFY NOT bool_or(adapter_hash = $champion) OVER listing
          AND row_number() OVER (listing ORDER BY timestamp_ms DESC, adapter_hash) = 1) s
ANTI JOIN store.used u ON u.listing_id = s.listing_id
JOIN store.categories c USING (category)
JOIN store.requests q ON q.request_id = s.request_id
ANTI JOIN (FROM store.backfill_orders
           WHERE purpose = 'backfill' AND adapter_hash = $champion
             AND (outcome IS NULL OR outcome <> 'superseded')
             AND (outcome IS NOT NULL OR created_ms > $expired)) o
  ON o.listing_id = s.listing_id AND coalesce(o.input_hash, q.input_hash) = q.input_hash
 AND (o.outcome IS NULL OR o.outcome <> 'failed'
      OR coalesce(o.category_schema_hash, c.hash) = c.hash)
"""


def outstanding(
    con: duckdb.DuckDBPyConnection, now_ms: int, purpose: Purpose = Purpose.BACKFILL
) -> int:
    """Orders that wait for their answer."""
    row = con.execute(
        "SELECT count(*) FROM store.backfill_orders "
        "WHERE purpose = ? AND outcome IS NULL AND created_ms > ?",
        [purpose.value, now_ms - ORDER_EXPIRES_MS],
    ).fetchone()
    return int(row[0]) if row else 0


def stale_count(con: duckdb.DuckDBPyConnection, champion: Champion, now_ms: int) -> int:
    """Listings that could be measured again and have not been ordered."""
    row = con.execute(
        f"SELECT count(*) {_STALE}",
        {"champion": champion.hash, "expired": now_ms - ORDER_EXPIRES_MS},
    ).fetchone()
    return int(row[0]) if row else 0


def order(
    con: duckdb.DuckDBPyConnection,
    settings: StreamsSettings,
    schemas: CategorySchemas,
    champion: Champion,
    now_ms: int,
    have: Callable[[], int],
) -> bool:
    """Orders as many of the best stale listings as may be outstanding: factor x k.

    Nothing is ordered while the fresh listings that a round could take are enough for one; `have`
    counts them, and is asked only where something may be ordered.
    Of one seller, category or text no more are ordered at once than a round takes: else what it
    cannot take would be measured first.

    Returns:
        False where it looked for stale listings and there is none.
    """
    allowed = settings.backfill_factor * settings.k - outstanding(con, now_ms)
    if allowed <= 0 or have() >= settings.k:
        return True
    limits = Shares.among_trained(settings).of(settings.k)
    order = "score DESC, listing_id"
    stale = (
        f"SELECT {score(settings.selection)} AS score, s.listing_id, s.seller_id, s.text_group, "
        f"s.category, s.pictures, q.payload {_STALE}"
    )
    thinned = spread.thinned(stale, limits, order)
    rows = con.execute(
        f"SELECT payload, pictures FROM ({thinned}) ORDER BY {order} LIMIT $n",
        {"champion": champion.hash, "expired": now_ms - ORDER_EXPIRES_MS, "n": allowed},
    ).fetchall()
    for payload, pictures in rows:
        live = ListingRequest.model_validate_json(payload)
        schema = schemas.by_any_name[live.category]
        send(con, live, schema, champion.hash, now_ms, pictures=pictures)
    return bool(rows)


def send(
    con: duckdb.DuckDBPyConnection,
    live: ListingRequest,
    schema: CategorySchema,
    adapter_hash: str,
    now_ms: int,
    purpose: Purpose = Purpose.BACKFILL,
    pictures: str | None = None,
) -> None:
    """Orders an answer to `live` by one adapter; a shadow's is another order than a backfill's.

    `pictures`: of the sample that it is ordered for, which are to be looked at again.
    """
    identity: list[object] = [live.listing_key, live.input_hash(), adapter_hash]
    if purpose is not Purpose.BACKFILL:
        identity.append(purpose.value)
    if schema.hash != live.category_schema_hash:
        identity.append(schema.hash)
    refused = con.execute(
        "SELECT count(*) FROM store.backfill_orders "
        "WHERE listing_id = ? AND adapter_hash = ? AND purpose = ? AND outcome = 'superseded'",
        [live.listing_key, adapter_hash, purpose.value],
    ).fetchone()
    if refused and refused[0]:
        # The adapter was champion, or on trial, before: that order's canonical answer is
        # `superseded` for good.
        identity.append(refused[0])
    asked = asked_for(schema, live.requested)
    request = live.model_copy(
        update={
            "request_id": hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
            "created_ms": now_ms,
            "patience_ms": None,
            "deadline_ms": None,
            "purpose": purpose,
            "adapter_hash": adapter_hash,
            "category": schema.category,
            "category_schema_hash": schema.hash,
            "requested": live.requested and [attribute.name for attribute in asked],
            "live_input_hash": live.input_hash(),
            "pictures": json.loads(pictures or "[]"),
        }
    )
    outbox.add(con, BACKFILL, request.listing_key, request)
    con.execute(
        "INSERT OR REPLACE INTO store.backfill_orders (request_id, listing_id, adapter_hash, "
        "created_ms, category_schema_hash, input_hash, purpose) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            request.request_id,
            request.listing_key,
            adapter_hash,
            now_ms,
            schema.hash,
            live.input_hash(),
            purpose.value,
        ],
    )
