"""Listings whose samples were measured by a category schema that has changed since.

    `take_over`   the schemas in force are others: listings of the changed categories are outdated
    `remeasure`   the next few are measured anew, from the values that are stored

It is all in DuckDB: a worker that ends in between goes on where it was. Call both in a transaction.
"""

import json

import duckdb

from schemas.category import CategorySchemas
from streams.pool.samples import recompute

# Measured in one go: a fraction of a second, so that records come in between.
SLICE = 500
_LISTED = "(SELECT unnest(from_json($1, '[\"VARCHAR\"]')))"
_CATEGORY = '{"category": "VARCHAR", "hash": "VARCHAR"}'


def take_over(con: duckdb.DuckDBPyConnection, schemas: CategorySchemas) -> None:
    """Remembers the schemas in force; the listings of those that changed are outdated."""
    known = dict(con.execute("FROM store.categories").fetchall())
    current = {name: schema.hash for name, schema in schemas.items()}
    changed = sorted({name for name, _ in known.items() ^ current.items()})
    if not changed:
        return
    con.execute("DELETE FROM store.categories")
    con.execute(
        "INSERT INTO store.categories "
        f"SELECT unnest(from_json($1, '[{_CATEGORY}]'), recursive := true)",
        [json.dumps([{"category": name, "hash": hash_} for name, hash_ in current.items()])],
    )
    con.execute(
        "INSERT OR IGNORE INTO store.outdated SELECT DISTINCT listing_id FROM store.reviews "
        f"WHERE category IN {_LISTED}",
        [json.dumps(changed)],
    )


def mark_all(con: duckdb.DuckDBPyConnection) -> None:
    """All samples are to be measured anew."""
    con.execute(
        "INSERT OR IGNORE INTO store.outdated SELECT DISTINCT listing_id FROM store.reviews"
    )


def remeasure(con: duckdb.DuckDBPyConnection, schemas: CategorySchemas) -> None:
    """Measures the next few outdated listings by `schemas`."""
    listings = [
        row[0]
        for row in con.execute(
            f"SELECT listing_id FROM store.outdated ORDER BY listing_id LIMIT {SLICE}"
        ).fetchall()
    ]
    recompute(con, schemas, listings)
    con.execute(f"DELETE FROM store.outdated WHERE listing_id IN {_LISTED}", [json.dumps(listings)])


def count(con: duckdb.DuckDBPyConnection) -> int:
    """Outdated listings."""
    row = con.execute("SELECT count(*) FROM store.outdated").fetchone()
    return int(row[0]) if row else 0
