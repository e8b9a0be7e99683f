"""From events to samples: what the model filled against what the seller finally submitted.

A listing has a sample under an adapter once its request, a canonical `ok` prediction by that
adapter and a review are there, all under the category schema in force. The last prediction of an
adapter and the last review of the listing count, by their place in the log, never by the order in
which they were read. A prediction is tied to its request by the hash of what the model saw, so that
an order of the conductor, which is not among the live requests, finds the listing's own text.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import cast

import duckdb
from pydantic_core import from_json

from schemas.category import Attribute, CategorySchemas
from schemas.completeness import scores
from streams import metrics
from streams.pool.rows import Row, insert

# The last row of each group in the log, which is dense and ordered within a listing's partition.
# The long texts are fetched by row at the end: otherwise those of the whole table would be read and
# nearly all of them thrown away.
_COMPLETE = """
WITH touched AS (SELECT unnest(from_json($1, '["VARCHAR"]')) AS listing_id),
last_review AS (
    SELECT r.listing_id, r.category_schema_hash, r.review_id, r.timestamp_ms, r.rowid AS row
    FROM store.reviews r SEMI JOIN touched USING (listing_id)
    JOIN store.categories c ON c.category = r.category AND c.hash = r.category_schema_hash
    QUALIFY row_number() OVER
        (PARTITION BY r.listing_id ORDER BY r.partition DESC, r."offset" DESC) = 1
),
input AS (
    SELECT listing_id, input_hash, request_id
    FROM store.requests SEMI JOIN touched USING (listing_id)
    QUALIFY row_number() OVER
        (PARTITION BY listing_id, input_hash ORDER BY partition DESC, "offset" DESC) = 1
),
prediction AS (
    SELECT p.listing_id, p.category_schema_hash, p.adapter_hash, p.timestamp_ms, p.rowid AS row,
           q.request_id AS input_request_id
    FROM store.predictions p SEMI JOIN touched USING (listing_id)
    JOIN store.categories c ON c.category = p.category AND c.hash = p.category_schema_hash
    JOIN input q ON q.listing_id = p.listing_id AND q.input_hash = p.input_hash
    WHERE p.status = 'ok'
    QUALIFY row_number() OVER
        (PARTITION BY p.listing_id, p.adapter_hash ORDER BY p.partition DESC, p."offset" DESC) = 1
),
complete AS MATERIALIZED (
    SELECT p.row AS prediction_row, r.row AS review_row, r.review_id, p.input_request_id,
           greatest(p.timestamp_ms, r.timestamp_ms) AS timestamp_ms
    FROM prediction p JOIN last_review r
      ON r.listing_id = p.listing_id AND r.category_schema_hash = p.category_schema_hash
)
SELECT p.listing_id, p.adapter_hash, p.adapter_id, p.category, p.requested, p."values",
       r.submitted, c.input_request_id, p.prediction_id, c.review_id, p.purpose, c.timestamp_ms
FROM complete c
JOIN store.predictions p ON p.rowid = c.prediction_row
JOIN store.reviews r ON r.rowid = c.review_row
"""

_DELETE_OTHERS = """
DELETE FROM store.samples
WHERE listing_id IN (SELECT unnest(from_json($1, '["VARCHAR"]')))
  AND (listing_id, adapter_hash) NOT IN
      (SELECT (key[1], key[2]) FROM (SELECT unnest(from_json($2, '[["VARCHAR"]]')) AS key))
"""


def recompute(
    con: duckdb.DuckDBPyConnection, schemas: CategorySchemas, listing_ids: Sequence[str]
) -> None:
    """Brings the samples of `listing_ids` up to what the events say, under every adapter."""
    if not listing_ids:
        return
    with metrics.stage("find"):
        complete = con.execute(_COMPLETE, [json.dumps(listing_ids)]).fetchall()
    with metrics.stage("score"):
        # Nearly all listings of a category are asked for the same.
        asked = lru_cache(partial(_attributes, schemas))
        samples = [_sample(asked, *row) for row in complete]
    with metrics.stage("samples"):
        # A canonical answer can change while partitions are read out of order: no sample outlives
        # it.
        kept = [[row["listing_id"], row["adapter_hash"]] for row in samples]
        con.execute(_DELETE_OTHERS, [json.dumps(listing_ids), json.dumps(kept)])
        insert(con, "samples", samples)
    for row in samples:
        metrics.GAP.observe(cast(float, row["gap"]))
        metrics.DEFICIT.observe(cast(float, row["deficit"]))


def _attributes(schemas: CategorySchemas, category: str, requested: str) -> list[Attribute]:
    by_name = schemas[category].by_name
    return [by_name[name] for name in json.loads(requested) if name in by_name]


def _sample(
    asked: Callable[[str, str], list[Attribute]],
    listing_id: str,
    adapter_hash: str,
    adapter_id: str,
    category: str,
    requested: str,
    values: str,
    submitted: str,
    request_id: str,
    prediction_id: str,
    review_id: str,
    purpose: str,
    timestamp_ms: int,
) -> Row:
    found = scores(asked(category, requested), from_json(submitted), from_json(values))
    return {
        "listing_id": listing_id,
        "adapter_hash": adapter_hash,
        "adapter_id": adapter_id,
        "category": category,
        "c_model": found.c_model,
        "c_catalog": found.c_catalog,
        "gap": found.gap,
        "deficit": found.deficit,
        "edits": found.edits,
        "request_id": request_id,
        "prediction_id": prediction_id,
        "review_id": review_id,
        "purpose": purpose,
        "timestamp_ms": timestamp_ms,
    }
