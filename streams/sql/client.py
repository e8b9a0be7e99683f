"""The clients of the SQL servers: of the public one, and of the writer's private one.

Any DuckDB 1.5 with the extensions `quack` and `httpfs` is a client of the public one as well:
`FROM quack_query('quack:127.0.0.1:9494', 'FROM status', token := 'listune')`.
"""

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from schemas.errors import ListuneError
from streams.settings import StreamsSettings
from streams.sql.guard import SqlGuard

Answer = tuple[list[str], list[tuple[Any, ...]]]


class SqlError(ListuneError):
    """A query that was not answered; one sentence that says what to do."""


class SqlTimeout(SqlError):
    """It ran for longer than `sql_timeout_s`."""


class SqlAway(SqlError):
    """No server answers; it is starting again, or the pool's writer is away."""


def query(settings: StreamsSettings, sql: str) -> Answer:
    """Column names and rows of one SELECT over the views, from the public endpoint.

    Raises:
        RefusedError: the statement is not allowed; names what is not.
        SqlError: no server, a wrong token, too long a run, or an error in the statement.
    """
    SqlGuard().check(sql)
    with _client().cursor() as con:
        return ask(con, settings, sql)


def ask(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, sql: str, most: int | None = None
) -> Answer:
    """As `query`, over a connection that has the extensions, and of `most` rows at most.

    Rows beyond are neither computed nor sent where the statement lets DuckDB stop early.

    Raises:
        SqlError: as `query`.
    """
    began = time.monotonic()
    uri = f"quack:{settings.sql_host}:{settings.sql_port}"
    try:
        answer = con.execute(
            "FROM quack_query($1, $2, token := $3)", [uri, sql, settings.sql_token]
        )
        columns = [column[0] for column in answer.description]
        return columns, answer.fetchall() if most is None else answer.fetchmany(most)
    except duckdb.Error as error:
        raise _explained(error, settings, time.monotonic() - began) from None


def ask_writer(settings: StreamsSettings, sql: str) -> list[tuple[Any, ...]]:
    """The rows of `sql` on the live file itself, all its tables, through the worker that has it.

    For our own processes on the worker's machine and under its user: nothing is checked here.

    Raises:
        SqlError: no worker serves the pool, or an error in the statement.
    """
    try:
        endpoint = json.loads(endpoint_path(settings).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise SqlError("no worker serves the pool; see whether the curate worker is up") from None
    with _client().cursor() as con:
        try:
            return con.execute(
                "FROM quack_query($1, $2, token := $3)", [endpoint["uri"], sql, endpoint["token"]]
            ).fetchall()
        except duckdb.Error as error:
            raise SqlError(
                f"the curate worker does not answer: {str(error).splitlines()[0]}"
            ) from None


@cache
def _client() -> duckdb.DuckDBPyConnection:
    """An empty database with the extensions, once for the process: DuckDB checks the signature of
    what it loads, which takes 0.2 s of a core."""
    con = duckdb.connect()
    load_extensions(con)
    return con


def load_extensions(con: duckdb.DuckDBPyConnection) -> None:
    """Loads Quack and what it needs from their Python packages; nothing is downloaded."""
    import duckdb_extension_httpfs
    import duckdb_extension_quack

    for name, package in (("httpfs", duckdb_extension_httpfs), ("quack", duckdb_extension_quack)):
        folder = Path(str(package.__file__)).parent / "extensions" / f"v{duckdb.__version__}"
        path = str(folder / f"{name}.duckdb_extension").replace("'", "''")
        con.execute(f"LOAD '{path}'")


def endpoint_path(settings: StreamsSettings) -> Path:
    """Where the worker that has the pool writes how to reach its private server."""
    return settings.pool_dir / f"{settings.pool}.sql.json"


def _explained(error: duckdb.Error, settings: StreamsSettings, seconds: float) -> SqlError:
    where = f"{settings.sql_host}:{settings.sql_port}"
    first = str(error).splitlines()[0]
    if seconds >= settings.sql_timeout_s:
        return SqlTimeout(
            f"the statement was stopped after {seconds:.0f} s; ask for less, or raise sql_timeout_s"
        )
    if "Could not connect" in first or "Failed to send" in first:
        return SqlAway(
            f"no SQL server answers at {where}; start the stack with `listune up`, "
            "or ask for less if this statement brought it down"
        )
    if "Authentication failed" in first:
        return SqlError(f"the SQL server at {where} refuses the token; set sql_token to its own")
    if "Authorization failed" in first:
        return SqlError(f"the SQL server at {where} refuses this statement; send one SELECT")
    return SqlError(first)
