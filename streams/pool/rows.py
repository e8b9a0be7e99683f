"""Events as rows, and the one fast way into DuckDB: a JSON array a column, in one statement."""

from collections.abc import Mapping, Sequence

import duckdb
from pydantic_core import to_json

from schemas.events import ListingPrediction, ListingRequest, ListingReview
from schemas.topic_names import PREDICTIONS, REQUESTS, REVIEWS
from schemas.values import SEPARATOR, Refusal, first_refusal, matches, mend
from schemas.versions import SchemaVersions

Row = dict[str, object]

_PLACE = {"partition": "INTEGER", "offset": "BIGINT", "timestamp_ms": "BIGINT"}
_TEXT = "VARCHAR"
COLUMNS: dict[str, dict[str, str]] = {
    "requests": {
        **dict.fromkeys(("request_id", "listing_id", "input_hash", "payload"), _TEXT),
        **_PLACE,
    },
    "predictions": {
        **dict.fromkeys(
            ("request_id", "prediction_id", "listing_id", "category", "category_schema_hash"), _TEXT
        ),
        **dict.fromkeys(("input_hash", "status", "purpose", "requested", "values", "mode"), _TEXT),
        "invalid": _TEXT,
        "batches": "INTEGER",
        **dict.fromkeys(("adapter_id", "adapter_hash"), _TEXT),
        "latency_ms": "DOUBLE",
        **_PLACE,
    },
    "reviews": {
        **dict.fromkeys(("review_id", "prediction_id", "listing_id", "category"), _TEXT),
        **dict.fromkeys(("category_schema_hash", "submitted"), _TEXT),
        **dict.fromkeys(("shown", "accepted"), "INTEGER"),
        **_PLACE,
        "refused": _TEXT,
    },
    "samples": {
        **dict.fromkeys(("listing_id", "adapter_hash", "adapter_id", "category"), _TEXT),
        **dict.fromkeys(("c_model", "c_catalog", "gap", "deficit", "edits"), "DOUBLE"),
        **dict.fromkeys(("request_id", "prediction_id", "review_id", "purpose"), _TEXT),
        "timestamp_ms": "BIGINT",
        "held_out": "BOOLEAN",
    },
    "watermarks": {"topic": _TEXT, "partition": "INTEGER", "next_offset": "BIGINT"},
    "used": {"listing_id": _TEXT, "round": "INTEGER", "role": _TEXT},
}
EVENT_TABLES = {REQUESTS: "requests", PREDICTIONS: "predictions", REVIEWS: "reviews"}
"""Which table the events of a topic are rows of."""
MOST_SHOWN = 80
"""Characters of a refused value that are kept beside its reason."""
_KEY = {"requests": "request_id", "predictions": "request_id", "reviews": "review_id"}

_PLAIN = COLUMNS["predictions"].keys() - {"requested", "values", "invalid"} - _PLACE.keys()


def insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row]) -> None:
    """Inserts `rows` into `store.<table>`; of events with one identity the first in the log stays.

    The log order across partitions is (partition, offset), so that it does not depend on the order
    in which partitions were read. Rows of the other tables are replaced.
    """
    if not rows:
        return
    columns = COLUMNS[table]
    names = ", ".join(f'"{name}"' for name in columns)
    if table in _KEY:
        updates = ", ".join(f'"{c}" = excluded."{c}"' for c in columns if c != _KEY[table])
        conflict = (
            f"ON CONFLICT ({_KEY[table]}) DO UPDATE SET {updates} WHERE "
            f'(excluded.partition, excluded."offset") < ({table}.partition, {table}."offset")'
        )
        verb = "INSERT"
        # Of equal keys in one statement DuckDB keeps the first and does not ask the WHERE.
        in_log_order = sorted(rows, key=lambda row: (row["partition"], row["offset"]))
        rows = list({row[_KEY[table]]: row for row in reversed(in_log_order)}.values())
    else:
        conflict, verb = "", "INSERT OR REPLACE"
    statement, parameters = as_select(columns, rows)
    con.execute(f"{verb} INTO store.{table} ({names}) {statement} {conflict}", parameters)


def as_select(columns: Mapping[str, str], rows: Sequence[Row]) -> tuple[str, list[str]]:
    """A statement that gives `rows`, with its parameters; `columns`: name to type."""
    lists = ", ".join(
        f'unnest(from_json(${place}, \'["{kind}"]\')) AS "{name}"'
        for place, (name, kind) in enumerate(columns.items(), start=1)
    )
    return f"SELECT {lists}", [_text([row[name] for row in rows]) for name in columns]


def _text(value: object) -> str:
    """As JSON; pydantic's writer takes a quarter of the time that `json` does."""
    return to_json(value).decode()


def row_of(
    event: ListingRequest | ListingPrediction | ListingReview,
    schemas: SchemaVersions,
    partition: int,
    offset: int,
    timestamp_ms: int,
) -> Row:
    """The row of `event`, which stands at `offset` of a partition of its topic."""
    place = {"partition": partition, "offset": offset, "timestamp_ms": timestamp_ms}
    match event:
        case ListingRequest():
            return _request(event) | place
        case ListingPrediction():
            return _prediction(event) | place
        case ListingReview():
            return _review(event, schemas) | place


def _request(event: ListingRequest) -> Row:
    """The whole event is kept: a backfill order repeats it."""
    return {
        "request_id": event.request_id,
        "listing_id": event.listing_id,
        "input_hash": event.input_hash(),
        "payload": event.model_dump_json(),
    }


def _prediction(event: ListingPrediction) -> Row:
    return {
        **{name: getattr(event, name) for name in _PLAIN},
        "requested": _text(event.requested),
        "values": _text(event.values),
        # What was cut off is never read again: no schema makes it an answer.
        "invalid": _text({n: text for n, text in event.invalid.items() if n not in event.cut}),
    }


def _review(event: ListingReview, schemas: SchemaVersions) -> Row:
    """`submitted` is as it came: it is mended by the schema in force, when a sample is made of it.

    `shown`, `accepted` and `refused` are by the schema that the review was made under, and stay
    NULL under an unknown one; `refused` also where nothing was.
    """
    shown, accepted = acceptance(event, schemas)
    refused = refused_values(event, schemas)
    return {
        "review_id": event.review_id,
        "prediction_id": event.prediction_id,
        "listing_id": event.listing_id,
        "category": event.category,
        "category_schema_hash": event.category_schema_hash,
        "submitted": _text(event.submitted),
        "shown": shown,
        "accepted": accepted,
        "refused": _text(refused) if refused else None,
    }


def refused_values(review: ListingReview, schemas: SchemaVersions) -> list[dict[str, str]]:
    """The submitted values that stay illegal when mended, or stand for no value: `attribute`,
    `reason`, `value` (cut) and `sentence` of each, by the schema that the review was made under."""
    schema = schemas.made_under(review.category, review.category_schema_hash)
    if schema is None:
        return []
    found = []
    for name, values in review.submitted.items():
        attribute = schema.by_name.get(name)
        if not values:
            continue
        if attribute is None:
            why: Refusal | None = Refusal(
                "unknown_attribute", "its category has no such attribute; leave it out"
            )
        else:
            why = first_refusal(attribute, values)
        if why is not None:
            value = SEPARATOR.join(values)[:MOST_SHOWN]
            found.append(
                {"attribute": name, "reason": why.reason, "value": value, "sentence": why.sentence}
            )
    return found


def acceptance(
    review: ListingReview, schemas: SchemaVersions
) -> tuple[int, int] | tuple[None, None]:
    """Values that the seller was shown, and those of them submitted unchanged.

    A multi-valued attribute counts as one value. They are mended and compared by the schema that
    the review was made under; (None, None) where that is not known.
    """
    schema = schemas.made_under(review.category, review.category_schema_hash)
    if schema is None:
        return None, None
    shown = accepted = 0
    for name, values in review.shown.items():
        if not values:
            continue
        shown += 1
        final = review.submitted.get(name)
        if final and (attribute := schema.by_name.get(name)) is not None:
            # Most are kept as they are.
            accepted += values == final or matches(
                attribute, values, mend(attribute, final) if attribute.multi_value else final
            )
    return shown, accepted
