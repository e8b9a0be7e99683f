"""From events to samples: what the model filled against what the seller finally submitted.

A listing has a sample under an adapter once its request, a canonical `ok` prediction by that
adapter and a review are there. The last prediction of an adapter and the last review of the listing
count, by their place in the log, never by the order in which they were read. A prediction is tied
to its request by the hash of what the model saw, so that an order of the conductor, which is not
among the live requests, finds the listing's own text.

Everything is measured by the category schema in force, whatever an event was made under: of an
attribute that is new since, a prediction has no value; one that is gone does not count; and of a
text that was refused then it is asked again whether it is legal. What a seller submitted is mended
by it, as files are. So the samples follow from the log
and the schemas alone, and it makes no difference when a worker took a changed schema over.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import cast

import duckdb
from pydantic_core import from_json

from schemas.category import Attribute, CategorySchema, CategorySchemas
from schemas.completeness import scores
from schemas.values import mend, parse_answer
from streams import metrics
from streams.pool.rows import Row, insert

# The last row of each group in the log, which is dense and ordered within a listing's partition.
# The long texts are fetched by row at the end: otherwise those of the whole table would be read and
# nearly all of them thrown away. `asked` are the attributes A, as JSON names, NULL for all of the
# category: of another schema only the request (`request_row`) tells them.
_COMPLETE = """
WITH touched AS (SELECT unnest(from_json($1, '["VARCHAR"]')) AS listing_id),
last_review AS (
    SELECT r.listing_id, r.category, r.review_id, r.timestamp_ms, r.rowid AS row
    FROM store.reviews r SEMI JOIN touched USING (listing_id)
    SEMI JOIN store.categories USING (category)
    QUALIFY row_number() OVER
        (PARTITION BY r.listing_id ORDER BY r.partition DESC, r."offset" DESC) = 1
),
input AS (
    SELECT listing_id, input_hash, request_id, rowid AS row
    FROM store.requests SEMI JOIN touched USING (listing_id)
    QUALIFY row_number() OVER
        (PARTITION BY listing_id, input_hash ORDER BY partition DESC, "offset" DESC) = 1
),
prediction AS (
    SELECT p.listing_id, p.category, p.adapter_hash, p.timestamp_ms, p.rowid AS row,
           q.request_id AS input_request_id,
           CASE WHEN p.category_schema_hash <> c.hash THEN q.row END AS request_row
    FROM store.predictions p SEMI JOIN touched USING (listing_id)
    JOIN store.categories c USING (category)
    JOIN input q ON q.listing_id = p.listing_id AND q.input_hash = p.input_hash
    WHERE p.status = 'ok'
    QUALIFY row_number() OVER
        (PARTITION BY p.listing_id, p.adapter_hash ORDER BY p.partition DESC, p."offset" DESC) = 1
),
complete AS MATERIALIZED (
    SELECT p.row AS prediction_row, p.request_row, r.row AS review_row, r.review_id,
           p.input_request_id, greatest(p.timestamp_ms, r.timestamp_ms) AS timestamp_ms
    FROM prediction p JOIN last_review r
      ON r.listing_id = p.listing_id AND r.category = p.category
),
request AS (
    SELECT q.rowid AS request_row, q.payload ->> '$.requested' AS requested
    FROM store.requests q SEMI JOIN complete m ON m.request_row = q.rowid
)
SELECT p.listing_id, p.adapter_hash, p.adapter_id, p.category,
       CASE WHEN m.request_row IS NULL THEN p.requested ELSE q.requested END AS asked, p."values",
       CASE WHEN m.request_row IS NOT NULL THEN p.invalid END AS invalid,
       r.submitted, m.input_request_id, p.prediction_id, m.review_id, p.purpose, m.timestamp_ms,
       sha256(p.listing_id) < (SELECT value FROM store.meta WHERE name = 'heldout_bound')
FROM complete m
LEFT JOIN request q USING (request_row)
JOIN store.predictions p ON p.rowid = m.prediction_row
JOIN store.reviews r ON r.rowid = m.review_row
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
        attributes_of = lru_cache(partial(_attributes, schemas))
        samples = [_sample(attributes_of, *row) for row in complete]
    with metrics.stage("samples"):
        # A canonical answer can change while partitions are read out of order: no sample outlives
        # it.
        kept = [[row["listing_id"], row["adapter_hash"]] for row in samples]
        con.execute(_DELETE_OTHERS, [json.dumps(listing_ids), json.dumps(kept)])
        insert(con, "samples", samples)
    for row in samples:
        metrics.GAP.observe(cast(float, row["gap"]))
        metrics.DEFICIT.observe(cast(float, row["deficit"]))


def _attributes(schemas: CategorySchemas, category: str, asked: str | None) -> Sequence[Attribute]:
    return asked_for(schemas[category], None if asked is None else json.loads(asked))


def _sample(
    attributes_of: Callable[[str, str | None], Sequence[Attribute]],
    listing_id: str,
    adapter_hash: str,
    adapter_id: str,
    category: str,
    asked: str | None,
    values: str,
    invalid: str | None,
    submitted: str,
    request_id: str,
    prediction_id: str,
    review_id: str,
    purpose: str,
    timestamp_ms: int,
    held_out: bool,
) -> Row:
    attributes, model = attributes_of(category, asked), from_json(values)
    if invalid is not None:
        model |= _read_again(attributes, from_json(invalid))
    found = scores(attributes, from_json(submitted), model, as_written=True)
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
        "held_out": held_out,
    }


def asked_for(schema: CategorySchema, names: Sequence[str] | None) -> Sequence[Attribute]:
    """The attributes called `names` that the category has now, in this order; all for None."""
    if names is None:
        return schema.attributes
    return [schema.by_name[name] for name in names if name in schema.by_name]


def mended(
    attributes: Sequence[Attribute], submitted: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """What a seller submitted of `attributes`, as the schema in force writes it; some of it may be
    illegal."""
    return {a.name: mend(a, submitted[a.name]) for a in attributes if a.name in submitted}


def _read_again(
    attributes: Sequence[Attribute], invalid: Mapping[str, str]
) -> dict[str, list[str]]:
    """What the texts that were refused say by the schema in force, legal or not."""
    return {a.name: parse_answer(a, invalid[a.name]) for a in attributes if a.name in invalid}
