"""Events as rows, and the one fast way into DuckDB: a JSON array a column, in one statement."""

from collections.abc import Mapping, Sequence
from operator import itemgetter

import duckdb
from pydantic_core import to_json

from schemas.aliases import under_all_names
from schemas.category import CategorySchema
from schemas.events import ListingPrediction, ListingRequest, ListingReview
from schemas.likeness import text_group
from schemas.origins import in_short, origins
from schemas.topic_names import PREDICTIONS, REQUESTS, REVIEWS
from schemas.values import SEPARATOR, Values, refusals
from schemas.versions import SchemaVersions

Row = dict[str, object]

_PLACE = {"partition": "INTEGER", "offset": "BIGINT", "timestamp_ms": "BIGINT"}
_TEXT = "VARCHAR"
COLUMNS: dict[str, dict[str, str]] = {
    "requests": {
        **dict.fromkeys(("request_id", "listing_id", "input_hash", "payload"), _TEXT),
        **_PLACE,
        "seller_id": _TEXT,
        "text_group": "BIGINT",
    },
    "predictions": {
        **dict.fromkeys(
            ("request_id", "prediction_id", "listing_id", "category", "category_schema_hash"), _TEXT
        ),
        **dict.fromkeys(("input_hash", "status", "purpose", "requested", "values", "mode"), _TEXT),
        **dict.fromkeys(("invalid", "confidence", "missing_required"), _TEXT),
        "batches": "INTEGER",
        **dict.fromkeys(("adapter_id", "adapter_hash"), _TEXT),
        "latency_ms": "DOUBLE",
        **_PLACE,
        **dict.fromkeys(("arms", "fell_back"), _TEXT),
        **dict.fromkeys(("tokens_read", "tokens_written"), "INTEGER"),
        **dict.fromkeys(("pictures", "notes"), _TEXT),
    },
    "reviews": {
        **dict.fromkeys(("review_id", "prediction_id", "request_id", "listing_id"), _TEXT),
        **dict.fromkeys(("category", "category_schema_hash", "submitted"), _TEXT),
        "origins": _TEXT,
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
        "seller_id": _TEXT,
        "text_group": "BIGINT",
        "asked": "INTEGER",
        "asked_share": "DOUBLE",
        "blind": "BOOLEAN",
        **dict.fromkeys(("arms", "pictures"), _TEXT),
    },
    "watermarks": {"topic": _TEXT, "partition": "INTEGER", "next_offset": "BIGINT"},
    "used": {"listing_id": _TEXT, "round": "INTEGER", "role": _TEXT},
    "textless": {"listing_id": _TEXT},
}
EVENT_TABLES = {REQUESTS: "requests", PREDICTIONS: "predictions", REVIEWS: "reviews"}
"""Which table the events of a topic are rows of."""
_LOG_ORDER = ("timestamp_ms", "offset", "partition")
MOST_SHOWN = 80
"""Characters of a refused value that are kept beside its reason."""
_KEY = {"requests": "request_id", "predictions": "request_id", "reviews": "review_id"}

_JSON = {
    *("requested", "values", "invalid", "confidence", "missing_required", "arms"),
    *("pictures", "notes"),
}
_PLAIN = COLUMNS["predictions"].keys() - {"listing_id"} - _JSON - _PLACE.keys()


def insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row]) -> None:
    """Inserts `rows` into `store.<table>`; of events with one identity the first in the log stays.

    The first is the one with the earliest broker's time, then the lowest offset; the partition only
    decides between equals. So it does not depend on the order in which partitions were read. Rows
    of the other tables are replaced.
    """
    if not rows:
        return
    columns = COLUMNS[table]
    names = ", ".join(f'"{name}"' for name in columns)
    if table in _KEY:
        updates = ", ".join(f'"{c}" = excluded."{c}"' for c in columns if c != _KEY[table])
        conflict = (
            f"ON CONFLICT ({_KEY[table]}) DO UPDATE SET {updates} "
            f"WHERE {_place_in('excluded')} < {_place_in(table)}"
        )
        verb = "INSERT"
        # Of equal keys in one statement DuckDB keeps the first and does not ask the WHERE.
        in_log_order = sorted(rows, key=itemgetter(*_LOG_ORDER))
        rows = list({row[_KEY[table]]: row for row in reversed(in_log_order)}.values())
    else:
        conflict, verb = "", "INSERT OR REPLACE"
    statement, parameters = as_select(columns, rows)
    con.execute(f"{verb} INTO store.{table} ({names}) {statement} {conflict}", parameters)


def _place_in(table: str) -> str:
    return "(" + ", ".join(f'{table}."{column}"' for column in _LOG_ORDER) + ")"


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
    """The row of `event`, which stands at `offset` of a partition of its topic.

    Its `listing_id` is the event's `listing_key`: two sellers may use one id.
    """
    place = {"partition": partition, "offset": offset, "timestamp_ms": timestamp_ms}
    match event:
        case ListingRequest():
            return _request(event) | place
        case ListingPrediction():
            return _prediction(event) | place
        case ListingReview():
            return _review(event, schemas) | place


def _request(event: ListingRequest) -> Row:
    """The whole event is kept: a backfill order repeats it.

    But for a time that its sender did not say, which is that of reading it: a pool that is rebuilt
    has the same rows.
    """
    left_out = None if "created_ms" in event.model_fields_set else {"created_ms"}
    return {
        "request_id": event.request_id,
        "listing_id": event.listing_key,
        "input_hash": event.input_hash(),
        "payload": event.model_dump_json(exclude=left_out),
        "seller_id": event.seller_id,
        "text_group": text_group(event.category, event.title, event.description),
    }


def _prediction(event: ListingPrediction) -> Row:
    return {
        **{name: getattr(event, name) for name in _PLAIN},
        "listing_id": event.listing_key,
        "requested": _text(event.requested),
        "values": _text(event.values),
        "confidence": _text(event.confidence),
        "missing_required": _text(event.missing_required),
        "arms": _text(event.arms) if event.arms else None,
        "pictures": _text(event.pictures) if event.pictures else None,
        "notes": _text(event.notes) if event.notes else None,
        # What was cut off is never read again: no schema makes it an answer.
        "invalid": _text({n: text for n, text in event.invalid.items() if n not in event.cut}),
    }


def _review(event: ListingReview, schemas: SchemaVersions) -> Row:
    """`submitted` is as it came: it is mended by the schema in force, when a sample is made of it.

    `shown` and `accepted` count values, a multi-valued attribute as one. They and `refused` are by
    the schema that the review was made under, and stay NULL under an unknown one; `refused` also
    where nothing was.
    """
    schema = schemas.made_under(event.category, event.category_schema_hash)
    shown, submitted = event.shown, event.submitted
    if schema is None:
        found, refused = origins({}, shown, submitted), []
    else:
        found = origins(schema.by_any_name, under_all_names(schema, shown), submitted)
        refused = refused_values(schema, submitted)
    accepted = sum(origin == "accepted" for origin in found.values())
    return {
        "review_id": event.review_id,
        "prediction_id": event.prediction_id,
        "request_id": event.request_id,
        "listing_id": event.listing_key,
        "category": event.category,
        "category_schema_hash": event.category_schema_hash,
        "submitted": _text(event.submitted),
        "origins": in_short(found, submitted),
        "shown": sum(map(bool, shown.values())) if schema else None,
        "accepted": accepted if schema else None,
        "refused": _text(refused) if refused else None,
    }


def refused_values(schema: CategorySchema, submitted: Values) -> list[dict[str, str]]:
    """The submitted values that stay illegal when mended, or stand for no value: `attribute`,
    `reason`, `value` (cut) and `sentence` of each."""
    return [
        {
            "attribute": name,
            "reason": why.reason,
            "value": SEPARATOR.join(values)[:MOST_SHOWN],
            "sentence": why.sentence,
        }
        for name, values, why in refusals(schema, submitted)
    ]
