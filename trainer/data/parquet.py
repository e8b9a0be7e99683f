"""Parquet by DuckDB or by pyarrow: both are heavy, and a GPU image may have only one of them."""

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from schemas.events import ERASED_FROM, listing_sha256
from serving.process.files import write_file


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of the file, as columns by name."""
    try:
        import duckdb
    except ImportError:
        import pyarrow.parquet

        yield from pyarrow.parquet.read_table(path).to_pylist()
        return
    with duckdb.connect() as connection:
        table = connection.execute("SELECT * FROM read_parquet($1)", [str(path)])
        names = [column[0] for column in table.description]
        for values in table.fetchall():
            yield dict(zip(names, values, strict=True))


def erased_from(path: Path) -> str | None:
    """The hash that the file had before forgotten listings were taken out; None if none were."""
    try:
        import duckdb
    except ImportError:
        import pyarrow.parquet

        noted = pyarrow.parquet.read_metadata(path).metadata or {}
        found = noted.get(ERASED_FROM.encode())
        return found.decode() if found else None
    with duckdb.connect() as connection:
        row = connection.execute(
            "SELECT decode(value) FROM parquet_kv_metadata($1) WHERE decode(key) = $2",
            [str(path), ERASED_FROM],
        ).fetchone()
    return str(row[0]) if row else None


def erase(path: Path, sha256: str, forgotten: Collection[str]) -> bool:
    """Takes forgotten listings out of the file; whether any was in it.

    Args:
        path: a file with a column `listing_id`.
        sha256: of the file as it was before anything was ever taken out; it goes into the metadata.
        forgotten: SHA-256 of listing ids.
    """
    if not any(listing_sha256(row["listing_id"]) in forgotten for row in records(path)):
        return False
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder) / path.name
        _write_without(path, aside, sha256, forgotten)
        write_file(path, aside.read_bytes())
    return True


def _write_without(path: Path, aside: Path, sha256: str, forgotten: Collection[str]) -> None:
    try:
        import duckdb
    except ImportError:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path)
        ids = table.column("listing_id").to_pylist()
        kept = table.filter(pyarrow.array([listing_sha256(id) not in forgotten for id in ids]))
        noted = kept.replace_schema_metadata({ERASED_FROM: sha256})
        pyarrow.parquet.write_table(noted, aside, compression="zstd")
        return
    quoted = str(aside).replace("'", "''")
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE kept AS FROM read_parquet($1)", [str(path)])
        connection.execute(
            "DELETE FROM kept WHERE sha256(listing_id) IN (SELECT unnest($1::VARCHAR[]))",
            [list(forgotten)],
        )
        connection.execute(
            f"COPY kept TO '{quoted}' (FORMAT parquet, COMPRESSION zstd, "
            f"KV_METADATA {{'{ERASED_FROM}': '{sha256}'}})"
        )
