"""The Parquet files of a round: what the trainer reads of the listings that it takes."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import duckdb

from schemas.aliases import asked_for, in_force
from schemas.category import Attribute, CategorySchema, CategorySchemas
from schemas.completeness import valid_names
from schemas.conditions import applying
from schemas.events import ManifestFile
from schemas.origins import ORIGINS
from schemas.values import Values, mend
from streams.pool.parquet import write_parquet
from streams.pool.rows import Row, as_select
from streams.pool.selected import Selected

Role = Literal["train", "heldout"]

MANIFEST_COLUMNS = (
    "listing_id", "category", "title", "description", "attributes", "values", "origins", "shown",
    "images", "seller_id", "tags", "blind", "pictures",
)  # fmt: skip


def write_manifest(
    con: duckdb.DuckDBPyConnection,
    rows: Sequence[Selected],
    schemas: CategorySchemas,
    role: Role,
    path: Path,
) -> ManifestFile:
    """Writes the listings `rows`, for `role`, to `path`.

    Columns are strings: listing_id (the listing's key, `schemas.identity`), category, title,
    description, and as JSON text the attributes asked for that apply, the seller's legal values,
    where each of these comes from (`schemas.origins`), whether the seller was shown any value
    (null: not kept), and the images; seller_id, which may be NULL, and as JSON text the tags, and
    whether no model has touched the values (`blind`), and the SHA-256 of the pictures that were
    seen, in order (`pictures`; `images` are their URIs).
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Nearly all listings of a category are asked for the same.
    asked = lru_cache(partial(_asked, schemas))
    _write_manifest_rows(con, [_manifest_row(row, asked) for row in rows], path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return ManifestFile(role=role, path=str(path), sha256=digest, rows=len(rows))


def count_origins(con: duckdb.DuckDBPyConnection, file: ManifestFile) -> dict[str, int]:
    """How many values of a file that was just written come from where; each origin is named."""
    counted = con.execute(
        "SELECT origin, count(*) FROM (SELECT unnest(json_extract_string(origins, '$.*')) origin "
        "FROM read_parquet($path)) GROUP BY origin",
        {"path": file.path},
    ).fetchall()
    return {**dict.fromkeys(ORIGINS, 0), **dict(counted)}


def mark_used_from_manifest(
    con: duckdb.DuckDBPyConnection, files: Sequence[ManifestFile], round_: int
) -> None:
    """As `mark_used`, for a round of the log that this file does not know: after a rebuild.

    A manifest that is gone cannot be read; its listings become selectable again.
    """
    for file in files:
        if file.role == "train" and Path(file.path).is_file():
            con.execute(
                "INSERT OR IGNORE INTO store.used "
                "SELECT listing_id, $round, $role FROM read_parquet($path)",
                {"round": round_, "role": file.role, "path": file.path},
            )


Asked = tuple[CategorySchema, Sequence[Attribute], str]
"""A schema, its attributes that were asked for, and these as the manifest has them."""


def _asked(schemas: CategorySchemas, category: str, names: tuple[str, ...] | None) -> Asked:
    schema = schemas[category]
    attributes = asked_for(schema, names)
    return schema, attributes, _as_text(attributes)


def _as_text(attributes: Sequence[Attribute]) -> str:
    return json.dumps([a.model_dump(mode="json") for a in attributes])


def _mended(
    schema: CategorySchema, attributes: Sequence[Attribute], submitted: Values
) -> dict[str, Sequence[str]]:
    """What a seller submitted, under the names of `schema`, and of `attributes` as it writes it;
    some of it may be illegal."""
    given = in_force(schema, submitted)
    return {**given, **{a.name: mend(a, given[a.name]) for a in attributes if a.name in given}}


def _manifest_row(row: Selected, asked: Callable[[str, tuple[str, ...] | None], Asked]) -> Row:
    """What applies by the seller's values, under the names in force."""
    schema, attributes, as_text = asked(row.category, row.requested)
    submitted = _mended(schema, attributes, row.submitted)
    origins = in_force(schema, row.origins)
    apply = applying(attributes, submitted)
    legal = valid_names(apply, submitted)
    return {
        "listing_id": row.listing_id,
        "category": row.category,
        "title": row.request.title,
        "description": row.request.description,
        "attributes": as_text if apply is attributes else _as_text(apply),
        "values": json.dumps({a.name: submitted[a.name] for a in apply if a.name in legal}),
        "origins": json.dumps(
            {a.name: origins.get(a.name, "unknown") for a in apply if a.name in legal}
        ),
        "shown": json.dumps(row.shown),
        "images": json.dumps(row.request.images),
        "seller_id": row.request.seller_id,
        "tags": json.dumps(row.request.tags),
        "blind": json.dumps(row.blind),
        "pictures": json.dumps(row.pictures),
    }


def _write_manifest_rows(con: duckdb.DuckDBPyConnection, rows: Sequence[Row], path: Path) -> None:
    statement, parameters = as_select(dict.fromkeys(MANIFEST_COLUMNS, "VARCHAR"), rows)
    con.execute(f"CREATE OR REPLACE TEMP TABLE manifest AS {statement}", parameters)
    write_parquet(con, path)
    con.execute("DROP TABLE manifest")
