"""Which listings a round takes, and which the pool lets go.

Equation (3): the k listings with the largest gap under the current model. Fresh is decided here and
never stored: a sample whose adapter hash is the champion's, measured by the schema in force. A
listing that a round has taken is not taken again. The ranking is by gap (the paper's), by deficit
or by edits. A listing counts only with a deficit, something that the seller filled and the model
did not; ranked by edits, with an edit.
`schemas.curation.select` makes the same choice without a pool.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from schemas.curation import COUNTS_BY, Selection
from schemas.events import ListingRequest
from streams.pool.parquet import write_parquet
from streams.pool.rows import EVENT_TABLES, insert

Role = Literal["train", "validation"]


# As in `streams.pool.samples`: of another schema only the request tells what it asked for.
_ASKED = """
CASE WHEN p.category_schema_hash = c.hash THEN p.requested ELSE q.payload ->> '$.requested' END
"""


@dataclass(frozen=True)
class Selected:
    """One listing of a round, with what its row of the manifest is made of."""

    listing_id: str
    role: Role
    gap: float
    deficit: float
    request: ListingRequest
    requested: tuple[str, ...] | None
    submitted: dict[str, list[str]]


def fresh_count(
    con: duckdb.DuckDBPyConnection, champion_hash: str, selection: Selection, min_gap: float
) -> int:
    """How many listings a round could take now."""
    row = con.execute(
        f"SELECT count(*) {_fresh(selection)}", {"champion": champion_hash, "min_gap": min_gap}
    ).fetchone()
    return int(row[0]) if row else 0


def select(
    con: duckdb.DuckDBPyConnection,
    champion_hash: str,
    k: int,
    v: int,
    selection: Selection,
    min_gap: float,
) -> list[Selected]:
    """The k + v largest, best first, fewer where there are fewer; ties go by `listing_id`.

    The v whose id hashes lowest are for validation: the same listings however often it is asked,
    and no choice by rank.
    """
    rows = con.execute(
        f"{_best(selection)} ORDER BY score DESC, listing_id",
        {"champion": champion_hash, "min_gap": min_gap, "size": k + v},
    ).fetchall()
    return _selected(rows, v)


def write_candidates(
    con: duckdb.DuckDBPyConnection,
    champion_hash: str,
    size: int,
    selection: Selection,
    min_gap: float,
    path: Path,
) -> str:
    """Writes this shard's `size` best to `path`, for `merge`; returns the file's SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE manifest AS {_best(selection)}",
        {"champion": champion_hash, "min_gap": min_gap, "size": size},
    )
    write_parquet(con, path)
    con.execute("DROP TABLE manifest")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def merge(con: duckdb.DuckDBPyConnection, paths: Sequence[Path], k: int, v: int) -> list[Selected]:
    """As `select`, of all shards: the largest among what each of them wrote as its own largest."""
    rows = con.execute(
        f"SELECT {', '.join(_BEST_COLUMNS)} FROM read_parquet($paths) "
        "ORDER BY score DESC, listing_id LIMIT $size",
        {"paths": [str(path) for path in paths], "size": k + v},
    ).fetchall()
    return _selected(rows, v)


def ranked(selection: Selection) -> str:
    """The best, best first, as a statement with $champion, $min_gap and $size: how many."""
    return f"""
        SELECT s.listing_id, s.{selection} AS score, s.gap, s.deficit,
               s.request_id, s.prediction_id, s.review_id
        {_fresh(selection)}
        ORDER BY score DESC, s.listing_id LIMIT $size
        """


def mark_used(con: duckdb.DuckDBPyConnection, rows: Sequence[Selected], round_: int) -> None:
    """Takes the listings out of the pool; the caller's transaction also holds the round."""
    insert(
        con,
        "used",
        [{"listing_id": row.listing_id, "round": round_, "role": row.role} for row in rows],
    )


def prune(
    con: duckdb.DuckDBPyConnection, selection: Selection, max_rows: int, max_age_ms: int
) -> None:
    """Bounds the pool by age and rows, in record time, so that a replay prunes the same.

    Over `max_rows` the last by `selection` go first, the oldest of equals before the newer ones.
    What an open round uses is kept. With the last sample of a listing its events go too.
    """
    bounds = {"rows": max_rows, "age": max_age_ms}
    if not any(_out_of_bounds(con, table, bounds) for table in ("samples", *EVENT_TABLES.values())):
        return
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE pruned AS
        SELECT listing_id, adapter_hash, prediction_id FROM (
            SELECT *, max(timestamp_ms) OVER () - $age AS oldest, row_number() OVER
                       (ORDER BY {selection} DESC, timestamp_ms DESC, listing_id) AS rank
            FROM store.samples)
        WHERE (rank > $rows OR timestamp_ms < oldest)
          AND listing_id NOT IN (
              SELECT listing_id FROM store.used JOIN store.rounds USING (round)
              WHERE closed_ms IS NULL)
        """,
        bounds,
    )
    con.execute(
        "DELETE FROM store.samples s USING pruned p "
        "WHERE s.listing_id = p.listing_id AND s.adapter_hash = p.adapter_hash"
    )
    con.execute(
        "DELETE FROM store.predictions WHERE prediction_id IN (SELECT prediction_id FROM pruned)"
    )
    for table in EVENT_TABLES.values():
        con.execute(
            f"""
            DELETE FROM store.{table} WHERE listing_id NOT IN (SELECT listing_id FROM store.samples)
            AND (listing_id IN (SELECT listing_id FROM pruned)
                 OR timestamp_ms < (SELECT max(timestamp_ms) FROM store.{table}) - $age)
            """,
            {"age": max_age_ms},
        )


def _out_of_bounds(con: duckdb.DuckDBPyConnection, table: str, bounds: dict[str, int]) -> bool:
    """Whether rows of `table` may have to go; quick, unlike to find out which."""
    row = con.execute(
        "SELECT coalesce(min(timestamp_ms) < max(timestamp_ms) - $age, false) "
        f"OR ('{table}' = 'samples' AND count(*) > $rows) FROM store.{table}",
        bounds,
    ).fetchone()
    return bool(row and row[0])


def _fresh(selection: Selection) -> str:
    """What a round could take, as the end of a statement with $champion and $min_gap."""
    counted = f"s.{COUNTS_BY[selection]}"
    return f"""
        FROM store.samples s ANTI JOIN store.used u ON u.listing_id = s.listing_id
        ANTI JOIN store.outdated o ON o.listing_id = s.listing_id
        WHERE s.adapter_hash = $champion AND {counted} > 0 AND {counted} >= $min_gap
        """


_BEST_COLUMNS = ("listing_id", "score", "gap", "deficit", "payload", "asked", "submitted")


def _best(selection: Selection) -> str:
    """The $size best of this file under $champion, with `_BEST_COLUMNS`, in no order."""
    return f"""
        SELECT chosen.listing_id, score, gap, deficit, q.payload, {_ASKED} AS asked, r.submitted
        FROM ({ranked(selection)}) chosen
        JOIN store.requests q ON q.request_id = chosen.request_id
        JOIN store.predictions p ON p.prediction_id = chosen.prediction_id
        JOIN store.reviews r ON r.review_id = chosen.review_id
        JOIN store.categories c ON c.category = p.category
        """


def _selected(rows: Sequence[Sequence[Any]], v: int) -> list[Selected]:
    validation = set(sorted((row[0] for row in rows), key=_id_hash)[:v])
    return [
        Selected(
            listing_id=listing_id,
            role="validation" if listing_id in validation else "train",
            gap=gap,
            deficit=deficit,
            request=ListingRequest.model_validate_json(payload),
            requested=None if asked is None else tuple(json.loads(asked)),
            submitted=json.loads(submitted),
        )
        for listing_id, _, gap, deficit, payload, asked, submitted in rows
    ]


def _id_hash(listing_id: str) -> str:
    return hashlib.sha256(listing_id.encode()).hexdigest()
