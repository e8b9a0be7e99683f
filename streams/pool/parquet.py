"""A Parquet file that is there as a whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from serving.process.files import publish


def write_parquet(
    con: duckdb.DuckDBPyConnection, path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes the temporary table `manifest`: aside, synced, renamed, so that a reader finds the
    whole file or none."""
    aside = path.with_suffix(".partial")
    quoted = str(aside).replace("'", "''")
    noted = ", ".join(f"'{name}': '{value}'" for name, value in (metadata or {}).items())
    options = f", KV_METADATA {{{noted}}}" if noted else ""
    con.execute(f"COPY manifest TO '{quoted}' (FORMAT parquet, COMPRESSION zstd{options})")
    publish(aside, path)
