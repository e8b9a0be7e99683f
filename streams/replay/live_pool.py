"""The live pool, seen from a process that does not have it: asked, or held against a worker.

DuckDB gives a file to one process that writes it, or to several that only read it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

from streams.kafka.partitions import Partition
from streams.pool.errors import PoolError
from streams.pool.file import pool_path
from streams.replay.fingerprint import Ask, Rows, Snapshot, take
from streams.settings import StreamsSettings
from streams.sql.client import SqlError, ask_writer


def asking(con: duckdb.DuckDBPyConnection) -> Ask:
    """Statements asked of `con`."""
    return lambda statement: con.execute(statement).fetchall()


def ask_live(settings: StreamsSettings) -> Ask | None:
    """A way to ask the live pool, whether or not a worker has it; None where there is no pool."""
    path = pool_path(settings)
    if not path.exists():
        return None

    def ask(statement: str) -> Rows:
        try:
            with duckdb.connect(str(path), read_only=True) as con:
                return con.execute(statement).fetchall()
        except duckdb.IOException:
            return ask_writer(settings, statement)

    return ask


def look_at(ask: Ask | None, starts: Mapping[Partition, int]) -> tuple[Snapshot | None, str]:
    """The live pool's snapshot, or why there is none."""
    if ask is None:
        return None, "there is no live pool"
    try:
        return take(ask, starts), ""
    except (duckdb.Error, SqlError) as error:
        return None, f"the live pool cannot be read: {error}"


@contextmanager
def held_to_read(path: Path) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """A pool's file, open to read: while it is, no worker can open it to write.

    None where there is no such file.

    Raises:
        PoolError: a worker has it.
    """
    if not path.exists():
        yield None
        return
    try:
        duckdb.connect(str(path)).close()  # what a killed worker left beside it goes into the file
        con = duckdb.connect(str(path), read_only=True)
    except duckdb.IOException as error:
        raise PoolError(
            f"the pool {path} cannot be replaced; stop the curate worker that has it "
            f"({str(error).splitlines()[0]})"
        ) from error
    try:
        yield con
    finally:
        con.close()
