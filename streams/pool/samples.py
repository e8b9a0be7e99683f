"""From events to samples: what the model filled against what the seller finally submitted.

A review belongs to the text that it reviewed. That is the text of the prediction which it names,
whatever became of that prediction; where the pool does not know it (a second answer to a request,
for one), the text of the request which it names. So a listing that is asked again with another
text keeps the sample of the reviewed one until it is reviewed again. A review of which neither is
known makes no sample; the listing is noted in `store.textless` until the missing event comes.

A listing has a sample under an adapter once its last review, the request with the reviewed text and
a canonical `ok` prediction of that text by that adapter are there. Of several predictions the last
counts. What is last is said by the broker's time of the record, then by its offset, never by the
order in which records were read. Predictions and requests are tied by the hash of what the model
saw, so that an order of the conductor, which is not among the live requests, finds the listing's
own text.

Everything is measured by the category schema in force, whatever an event was made under: of an
attribute that is new since, a prediction has no value; one that is gone does not count; and of a
text that was refused then it is asked again whether it is legal. What stands under a former name of
a category or an attribute counts under the one in force. What a seller submitted is mended by it,
as files are. So the samples follow from the log and the schemas alone, and it makes no difference
when a worker took a changed schema over.

`blind` is a sample whose labels no model has touched: every answer that a review of the listing
names was blind. `arms` are those of the answer that the last review names. Both are marks of the
review, whichever adapter the sample is of. So are `pictures`, what was seen for the answer that the
last review names; where the pool does not know it, or it saw none, what the sample's own saw.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache, partial
from typing import cast

import duckdb
from pydantic_core import from_json

from schemas.aliases import asked_for, in_force
from schemas.category import Attribute, CategorySchema, CategorySchemas
from schemas.completeness import scores
from schemas.events import BLIND_ADAPTER
from schemas.likeness import picture_group
from schemas.values import parse_answer
from streams import metrics
from streams.pool.rows import Row, insert

# The last row of each group in the log; its partition only decides between two of one millisecond
# and one offset. The long texts are fetched by row at the end: otherwise those of the whole table
# would be read and nearly all of them thrown away. `asked` are the attributes A, as JSON names,
# NULL for all of the category: of another schema only the request (`request_row`) tells them. The
# last column is of rows that stand for no sample: a listing whose last review has no known text.
_COMPLETE = """
WITH touched AS (SELECT unnest(from_json($1, '["VARCHAR"]')) AS listing_id),
last_review AS MATERIALIZED (
    SELECT r.listing_id, c.name AS category, c.hash, r.review_id, r.prediction_id, r.request_id,
           r.timestamp_ms, r.rowid AS row
    FROM store.reviews r SEMI JOIN touched USING (listing_id)
    JOIN store.categories c USING (category)
    QUALIFY row_number() OVER (PARTITION BY r.listing_id
        ORDER BY r.timestamp_ms DESC, r."offset" DESC, r.partition DESC) = 1
),
request AS MATERIALIZED (
    SELECT listing_id, input_hash, request_id, seller_id, text_group, timestamp_ms, "offset",
           partition, rowid AS row
    FROM store.requests SEMI JOIN last_review USING (listing_id)
),
prediction AS MATERIALIZED (
    SELECT listing_id, prediction_id, category, category_schema_hash, input_hash, adapter_hash,
           status, arms, pictures, timestamp_ms, "offset", partition, rowid AS row
    FROM store.predictions SEMI JOIN last_review USING (listing_id)
),
blind AS MATERIALIZED (
    SELECT listing_id
    FROM store.reviews
    SEMI JOIN (FROM prediction WHERE adapter_hash = 'blind') USING (listing_id)
    LEFT JOIN prediction p USING (listing_id, prediction_id)
    GROUP BY listing_id HAVING bool_and(p.adapter_hash IS NOT DISTINCT FROM 'blind')
),
reviewed AS MATERIALIZED (
    SELECT r.listing_id, r.category, r.hash, r.review_id, r.timestamp_ms, r.row,
           t.input_hash, t.request_id AS input_request_id, t.row AS input_row, t.seller_id,
           t.text_group, p.arms, p.pictures, b.listing_id IS NOT NULL AS blind
    FROM last_review r
    LEFT JOIN blind b ON b.listing_id = r.listing_id
    LEFT JOIN prediction p ON p.listing_id = r.listing_id AND p.prediction_id = r.prediction_id
    LEFT JOIN request q ON q.listing_id = r.listing_id AND q.request_id = r.request_id
    LEFT JOIN request t ON t.listing_id = r.listing_id
                       AND t.input_hash = coalesce(p.input_hash, q.input_hash)
    QUALIFY row_number() OVER (PARTITION BY r.listing_id
        ORDER BY t.timestamp_ms DESC NULLS LAST, t."offset" DESC, t.partition DESC) = 1
),
complete AS MATERIALIZED (
    SELECT p.row AS prediction_row, r.category, r.row AS review_row, r.review_id,
           r.input_request_id,
           CASE WHEN p.category_schema_hash <> r.hash THEN r.input_row END AS request_row,
           greatest(p.timestamp_ms, r.timestamp_ms) AS timestamp_ms, r.seller_id, r.text_group,
           r.blind, r.arms, coalesce(r.pictures, p.pictures) AS pictures
    FROM reviewed r JOIN prediction p ON p.listing_id = r.listing_id
     AND p.input_hash = r.input_hash
    JOIN store.categories c ON c.category = p.category AND c.name = r.category
    WHERE p.status = 'ok'
    QUALIFY row_number() OVER (PARTITION BY p.listing_id, p.adapter_hash
        ORDER BY p.timestamp_ms DESC, p."offset" DESC, p.partition DESC) = 1
),
asked AS (
    SELECT q.rowid AS request_row, q.payload ->> '$.requested' AS requested
    FROM store.requests q SEMI JOIN complete m ON m.request_row = q.rowid
)
SELECT p.listing_id, p.adapter_hash, p.adapter_id, m.category,
       CASE WHEN m.request_row IS NULL THEN p.requested ELSE q.requested END AS asked, p."values",
       CASE WHEN m.request_row IS NOT NULL THEN p.invalid END AS invalid,
       r.submitted, m.input_request_id, p.prediction_id, m.review_id, p.purpose, m.timestamp_ms,
       sha256(p.listing_id) < (SELECT value FROM store.meta WHERE name = 'heldout_bound'),
       m.seller_id, m.text_group, m.blind, m.arms, m.pictures,
       NULL AS textless
FROM complete m
LEFT JOIN asked q USING (request_row)
JOIN store.predictions p ON p.rowid = m.prediction_row
JOIN store.reviews r ON r.rowid = m.review_row
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, review_id, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, listing_id
FROM reviewed WHERE input_row IS NULL
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
        found = con.execute(_COMPLETE, [json.dumps(listing_ids)]).fetchall()
    with metrics.stage("score"):
        # Nearly all listings of a category are asked for the same.
        asked_of = lru_cache(partial(_asked, schemas))
        samples = [_sample(asked_of, *row) for *row, textless in found if textless is None]
    with metrics.stage("samples"):
        # A canonical answer can change while partitions are read out of order: no sample outlives
        # it.
        kept = [[row["listing_id"], row["adapter_hash"]] for row in samples]
        con.execute(_DELETE_OTHERS, [json.dumps(listing_ids), json.dumps(kept)])
        insert(con, "samples", samples)
        _note_textless(con, listing_ids, {textless for *_, textless in found if textless})
    for row in samples:
        if row["adapter_hash"] == BLIND_ADAPTER:
            continue  # nothing was suggested: that measures no model
        metrics.GAP.observe(cast(float, row["gap"]))
        metrics.DEFICIT.observe(cast(float, row["deficit"]))


def textless_count(con: duckdb.DuckDBPyConnection) -> int:
    """Listings whose last review reviewed a text that the pool does not have."""
    row = con.execute("SELECT count(*) FROM store.textless").fetchone()
    return int(row[0]) if row else 0


def _note_textless(
    con: duckdb.DuckDBPyConnection, listing_ids: Sequence[str], textless: Collection[str]
) -> None:
    """Of `listing_ids` exactly `textless` wait for the text of their review."""
    # Nearly always there is none, and nothing to write.
    if textless_count(con):
        con.execute(
            "DELETE FROM store.textless "
            "WHERE listing_id IN (SELECT unnest(from_json($1, '[\"VARCHAR\"]')))",
            [json.dumps(listing_ids)],
        )
    insert(con, "textless", [{"listing_id": listing_id} for listing_id in sorted(textless)])


Asked = tuple[CategorySchema, Sequence[Attribute]]
"""A schema in force, and those of its attributes that were asked for."""


def _asked(schemas: CategorySchemas, category: str, asked: str | None) -> Asked:
    schema = schemas[category]
    return schema, asked_for(schema, None if asked is None else json.loads(asked))


def _sample(
    asked_of: Callable[[str, str | None], Asked],
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
    seller_id: str | None,
    text_group: int | None,
    blind: bool,
    arms: str | None,
    pictures: str | None,
) -> Row:
    schema, attributes = asked_of(category, asked)
    model = in_force(schema, from_json(values))
    if invalid is not None:
        refused = in_force(schema, from_json(invalid))
        model = {**model, **_read_again(attributes, refused)}
    catalog = in_force(schema, from_json(submitted))
    found = scores(attributes, catalog, model, as_written=True)
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
        "seller_id": seller_id,
        "text_group": text_group or picture_group(category, from_json(pictures or "[]")),
        "asked": len(attributes),
        "asked_share": len(attributes) / max(1, len(schema.attributes)),
        "blind": blind,
        "arms": arms,
        "pictures": pictures,
    }


def _read_again(
    attributes: Sequence[Attribute], invalid: Mapping[str, str]
) -> dict[str, list[str]]:
    """What the texts that were refused say by the schema in force, legal or not."""
    return {a.name: parse_answer(a, invalid[a.name]) for a in attributes if a.name in invalid}
