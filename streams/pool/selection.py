"""Which listings a round trains on, and which the pool lets go.

Equation (3): the k listings with the largest gap under the current model. Fresh is decided here and
never stored: a sample whose adapter hash is the champion's, measured by the schema in force. A
listing that a round has taken is not taken again, and one that is held out is never taken; nor is,
beside those that judge the round, one whose title is nearly the same as one of theirs
(`schemas.likeness`): what was learnt of it would be asked for. The ranking is by gap (the paper's),
by deficit or by edits. A listing counts only with a deficit, something that the seller filled and
the model did not; ranked by edits, with an edit.
`schemas.curation.select` makes the same choice without a pool.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from schemas.curation import COUNTS_BY, Selection
from schemas.likeness import Titles
from streams.pool import heldout
from streams.pool.parquet import write_parquet
from streams.pool.rows import EVENT_TABLES, insert
from streams.pool.selected import COLUMNS, Selected, selected, with_texts


def fresh_count(
    con: duckdb.DuckDBPyConnection, champion_hash: str, selection: Selection, min_gap: float
) -> int:
    """How many listings a round could take now, near-duplicates of held-out ones among them."""
    row = con.execute(
        f"SELECT count(*) {_fresh(selection)}", {"champion": champion_hash, "min_gap": min_gap}
    ).fetchone()
    return int(row[0]) if row else 0


def select(
    con: duckdb.DuckDBPyConnection,
    champion_hash: str,
    k: int,
    selection: Selection,
    min_gap: float,
    held_out: Sequence[Selected] = (),
) -> tuple[list[Selected], int]:
    """The k largest, best first, fewer where there are fewer; ties go by `listing_id`.

    Returns:
        The listings, and how many were passed over as near-duplicates of `held_out`.
    """
    wanted = {"champion": champion_hash, "min_gap": min_gap}
    return _apart(_pages(con, selection, wanted, 2 * k), k, held_out)


def write_candidates(
    con: duckdb.DuckDBPyConnection,
    champion_hash: str,
    size: int,
    selection: Selection,
    min_gap: float,
    heldout_most: int,
    path: Path,
) -> str:
    """Writes this shard's `size` best and its held-out listings to `path`, for `merge`; returns
    the file's SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE manifest AS "
        f"FROM ({with_texts(ranked(selection), 'score, NULL::BIGINT AS reviewed_ms')}) UNION ALL "
        f"FROM ({with_texts(heldout.NEWEST, 'NULL::DOUBLE AS score, reviewed_ms')})",
        {
            "champion": champion_hash,
            "min_gap": min_gap,
            "size": size,
            "skip": 0,
            "most": heldout_most,
        },
    )
    write_parquet(con, path)
    con.execute("DROP TABLE manifest")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def merge(
    con: duckdb.DuckDBPyConnection, paths: Sequence[Path], k: int, held_out: Sequence[Selected]
) -> tuple[list[Selected], int]:
    """As `select`, of all shards: the largest among what each of them wrote as its own largest."""
    return _apart(_written(con, paths, "reviewed_ms IS NULL", "score DESC"), k, held_out)


def merge_held_out(
    con: duckdb.DuckDBPyConnection, paths: Sequence[Path], most: int
) -> list[Selected]:
    """As `heldout.newest`, of all shards."""
    rows = _written(con, paths, "reviewed_ms IS NOT NULL", "reviewed_ms DESC")
    return [selected(row) for row in rows[:most]]


def ranked(selection: Selection) -> str:
    """The best, best first, as a statement with $champion, $min_gap, and $size: how many, after
    the first $skip."""
    return f"""
        SELECT s.listing_id, s.{selection} AS score, s.gap, s.deficit,
               s.request_id, s.prediction_id, s.review_id
        {_fresh(selection)}
        ORDER BY score DESC, s.listing_id LIMIT $size OFFSET $skip
        """


def mark_used(con: duckdb.DuckDBPyConnection, rows: Sequence[Selected], round_: int) -> None:
    """Takes the listings out of the pool; the caller's transaction also holds the round."""
    insert(
        con,
        "used",
        [{"listing_id": row.listing_id, "round": round_, "role": "train"} for row in rows],
    )


def prune(
    con: duckdb.DuckDBPyConnection,
    selection: Selection,
    max_rows: int,
    max_age_ms: int,
    heldout_most: int,
) -> None:
    """Bounds the pool by age and rows, in record time, so that a replay prunes the same.

    Over `max_rows` held-out listings that no longer judge go first, then the last by `selection`,
    the oldest of equals before the newer ones; the newest `heldout_most` held-out ones go last.
    What an open round uses is kept. With the last sample of a listing its events go too.
    """
    bounds = {"rows": max_rows, "age": max_age_ms}
    if not any(_out_of_bounds(con, table, bounds) for table in ("samples", *EVENT_TABLES.values())):
        return
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE pruned AS
        SELECT listing_id, adapter_hash, prediction_id FROM (
            SELECT s.*, max(s.timestamp_ms) OVER () - $age AS oldest, row_number() OVER
                       (ORDER BY n.listing_id IS NULL, s.held_out,
                                 s.{selection} DESC, s.timestamp_ms DESC, s.listing_id) AS rank
            FROM store.samples s LEFT JOIN ({heldout.NEWEST}) n
              ON n.listing_id = s.listing_id AND n.adapter_hash = s.adapter_hash)
        WHERE (rank > $rows OR timestamp_ms < oldest)
          AND listing_id NOT IN (
              SELECT listing_id FROM store.used JOIN store.rounds USING (round)
              WHERE closed_ms IS NULL)
        """,
        bounds | {"most": heldout_most},
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
        WHERE s.adapter_hash = $champion AND NOT s.held_out
          AND {counted} > 0 AND {counted} >= $min_gap
        """


def _pages(
    con: duckdb.DuckDBPyConnection, selection: Selection, wanted: dict[str, Any], size: int
) -> Iterator[Sequence[Any]]:
    """The rows of all that a round could take, best first, read as far as they are asked for."""
    statement = f"{with_texts(ranked(selection), 'score')} ORDER BY score DESC, listing_id"
    skip = 0
    while rows := con.execute(statement, wanted | {"size": size, "skip": skip}).fetchall():
        yield from rows
        skip += size


def _written(
    con: duckdb.DuckDBPyConnection, paths: Sequence[Path], which: str, by: str
) -> Sequence[Sequence[Any]]:
    return con.execute(
        f"SELECT {', '.join(COLUMNS)} FROM read_parquet($paths) WHERE {which} "
        f"ORDER BY {by}, listing_id",
        {"paths": [str(path) for path in paths]},
    ).fetchall()


def _apart(
    rows: Iterable[Sequence[Any]], k: int, held_out: Sequence[Selected]
) -> tuple[list[Selected], int]:
    """The first k whose titles are nearly the same as none of `held_out`, and how many are."""
    titles = Titles()
    for row in held_out:
        titles.add(row.request.category, row.request.title, row.listing_id)
    apart: list[Selected] = []
    passed_over = 0
    for row in map(selected, rows):
        if next(titles.near(row.request.category, row.request.title), None) is not None:
            passed_over += 1
            continue
        apart.append(row)
        if len(apart) == k:
            break
    return apart, passed_over
