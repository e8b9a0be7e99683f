"""Listings whose samples were measured by a category schema that has changed since.

    `take_over`   the schemas in force are others: listings of the changed categories are outdated
    `remeasure`   the next few are measured anew, from the values that are stored

It is all in DuckDB: a worker that ends in between goes on where it was. Call both in a transaction.
"""

import json
import logging
from collections.abc import Sequence

import duckdb
from pydantic import ValidationError

from schemas.category import CategorySchema, CategorySchemas
from streams.pool.losses import in_words, losses
from streams.pool.samples import recompute

# Measured in one go: a fraction of a second, so that records come in between.
SLICE = 500
_LISTED = "(SELECT unnest(from_json($1, '[\"VARCHAR\"]')))"
_CATEGORY = '{"category": "VARCHAR", "hash": "VARCHAR", "name": "VARCHAR", "content": "VARCHAR"}'

logger = logging.getLogger("listune.pool")


def take_over(con: duckdb.DuckDBPyConnection, schemas: CategorySchemas) -> None:
    """Remembers the schemas in force; the listings of those that changed are outdated.

    What the change loses of the pool is logged, and noted for the view `status`.
    """
    known = {
        category: (hash_, name)
        for category, hash_, name in con.execute(
            "SELECT category, hash, name FROM store.categories"
        ).fetchall()
    }
    current = {name: (schema.hash, schema.category) for name, schema in schemas.by_any_name.items()}
    if known == current:
        return
    hashes, former_hashes = ({n: h for n, (h, _) in one.items()} for one in (current, known))
    changed = sorted({name for name, _ in hashes.items() ^ former_hashes.items()})
    if changed and known:
        _tell_losses(con, _former(con, changed), schemas)
    con.execute("DELETE FROM store.categories")
    con.execute(
        "INSERT INTO store.categories (category, hash, name, content) "
        f"SELECT unnest(from_json($1, '[{_CATEGORY}]'), recursive := true)",
        [json.dumps([_row(name, schema) for name, schema in schemas.by_any_name.items()])],
    )
    con.execute(
        "INSERT OR IGNORE INTO store.outdated SELECT DISTINCT listing_id FROM store.reviews "
        f"WHERE category IN {_LISTED}",
        [json.dumps(changed)],
    )


def _row(name: str, schema: CategorySchema) -> dict[str, str | None]:
    content = schema.model_dump_json(exclude_defaults=True) if name == schema.category else None
    return {"category": name, "hash": schema.hash, "name": schema.category, "content": content}


def _former(con: duckdb.DuckDBPyConnection, changed: Sequence[str]) -> CategorySchemas:
    """The schemas that were in force before, of the categories that changed."""
    rows = con.execute(
        f"SELECT content FROM store.categories WHERE content IS NOT NULL AND category IN {_LISTED}",
        [json.dumps(changed)],
    ).fetchall()
    return CategorySchemas(filter(None, (_parsed(content) for (content,) in rows)))


def _parsed(content: str) -> CategorySchema | None:
    """None for one that another version allowed and this one refuses: of it no loss is told."""
    try:
        return CategorySchema.model_validate_json(content)
    except ValidationError:
        return None


def _tell_losses(
    con: duckdb.DuckDBPyConnection, former: CategorySchemas, schemas: CategorySchemas
) -> None:
    lost = in_words(losses(lambda sql: con.execute(sql).fetchall(), former, schemas))
    if lost:
        logger.warning("the new category schemas lose %s; give aliases to what was renamed", lost)
    con.execute("INSERT OR REPLACE INTO store.meta VALUES ('schema_losses', $1)", [lost])


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
