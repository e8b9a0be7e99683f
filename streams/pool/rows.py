"""Events as rows, and the one fast way into DuckDB: a JSON array a column, in one statement."""

from collections.abc import Mapping, Sequence
from operator import itemgetter

import duckdb
from pydantic_core import to_json

from schemas.events import ListingPrediction, ListingRequest, ListingReview
from schemas.origins import in_short, origins
from schemas.topic_names import PREDICTIONS, REQUESTS, REVIEWS
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
        **dict.fromkeys(("review_id", "prediction_id", "request_id", "listing_id"), _TEXT),
        **dict.fromkeys(("category", "category_schema_hash", "submitted"), _TEXT),
        "origins": _TEXT,
        **dict.fromkeys(("shown", "accepted"), "INTEGER"),
        **_PLACE,
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
    "textless": {"listing_id": _TEXT},
}
EVENT_TABLES = {REQUESTS: "requests", PREDICTIONS: "predictions", REVIEWS: "reviews"}
"""Which table the events of a topic are rows of."""
_LOG_ORDER = ("timestamp_ms", "offset", "partition")
_KEY = {"requests": "request_id", "predictions": "request_id", "reviews": "review_id"}

_PLAIN = COLUMNS["predictions"].keys() - {"requested", "values", "invalid"} - _PLACE.keys()


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
    """`shown` and `accepted` count values, a multi-valued attribute as one; they stay NULL under an
    unknown schema. Compared is by the schema that the review was made under."""
    schema = schemas.made_under(event.category, event.category_schema_hash)
    found = origins(schema.by_name if schema else {}, event.shown, event.submitted)
    shown = sum(map(bool, event.shown.values()))
    accepted = sum(origin == "accepted" for origin in found.values())
    return {
        "review_id": event.review_id,
        "prediction_id": event.prediction_id,
        "request_id": event.request_id,
        "listing_id": event.listing_id,
        "category": event.category,
        "category_schema_hash": event.category_schema_hash,
        "submitted": _text(event.submitted),
        "origins": in_short(found, event.submitted),
        "shown": shown if schema else None,
        "accepted": accepted if schema else None,
    }
