"""Ad-hoc SQL over the live pool, by DuckDB's own client-server protocol (Quack).

Two servers. The curate worker, which has the file, serves it privately: on the loopback, under a
random token kept beside the pool (`serve_pool`). A sidecar (`main`) attaches that, offers the views
of `streams.sql.guard.VIEWS` under the settings' port and token, and runs only what the guard
allows, within its own memory limit and time limit. So a person's heavy query never takes memory or
a connection from the writer; what it reads is copied out of the writer view by view.

`streams.sql.client` has the client, `streams.sql.http` the same for whoever has no more than HTTP.
"""

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import duckdb
import psutil

from serving.process.ready import clear_ready, tell_ready
from streams.settings import StreamsSettings
from streams.sql.client import endpoint_path, load_extensions
from streams.sql.guard import VIEWS, RefusedError, SqlGuard

EXIT_TOO_LONG = 75
EXIT_TOO_LARGE = 71
EXIT_WRITER_GONE = 69
WATCH_S = 0.1
# The sidecar comes back after this long where it ended or found no writer.
RETRY_S = 0.5
# What Python, the extensions and the stacks of threads may take beside the queries.
PROCESS_BYTES = 512 * 1024**2

logger = logging.getLogger("listune.sql")


def serve_pool(con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
    """Lets the sidecar read the database of `con` while this process writes it.

    Call it on the thread that owns `con`. Where and under which token is written, for this user
    only, to `<pool>.sql.json` beside the pool.
    """
    load_extensions(con)
    endpoint = {"uri": f"quack:127.0.0.1:{_free_port()}", "token": secrets.token_hex(16)}
    _start(con, endpoint["uri"], endpoint["token"])
    path = endpoint_path(settings)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(endpoint, file)


def main(settings: StreamsSettings) -> None:
    """Keeps the public endpoint up until SIGTERM: serves in a child, and starts it again.

    The child ends where a statement runs past `sql_timeout_s` (a client's interrupt does not stop
    it), where one takes far more memory than `sql_memory`, and where the writer went away.
    """
    stopping = threading.Event()
    child: list[subprocess.Popen[str]] = []

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()
        for process in child:
            process.kill()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    clear_ready()
    while not stopping.is_set():
        if not endpoint_path(settings).exists():
            stopping.wait(RETRY_S)
            continue
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.sql.server"], stdin=subprocess.PIPE, text=True
        )
        child[:] = [process]
        assert process.stdin is not None
        try:
            # The pipe stays open: at its end the child knows that this process is gone.
            process.stdin.write(settings.model_dump_json() + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            logger.warning("the SQL server ended before it began")
        if stopping.is_set():
            process.kill()
        code = process.wait()
        child.clear()
        if not stopping.is_set():
            logger.warning("the SQL server ended (%s); it starts again", _meaning(code, settings))
            stopping.wait(RETRY_S)


def _serve(settings: StreamsSettings, gone: Callable[[], bool]) -> int:
    """Serves until something is wrong; returns the exit code. The order of the steps matters.

    Extensions, attachment and views need external access; serving does too, but what is served
    after it was taken away cannot have it.
    """
    guard = SqlGuard()
    con = duckdb.connect(
        config={
            "memory_limit": settings.sql_memory,
            "threads": 2,
            "temp_directory": "",
            "python_enable_replacements": False,
        }
    )
    load_extensions(con)
    try:
        _make_views(con, settings)
    except (OSError, ValueError, duckdb.Error) as error:
        logger.info("the pool cannot be attached: %s", error)
        return EXIT_WRITER_GONE

    def authorise(_connection: str, sql: str) -> bool:
        try:
            guard.check(sql)
        except RefusedError as error:
            logger.info("refused: %s", error)
            return False
        return True

    con.create_function(
        "listune_authorise", authorise, ["VARCHAR", "VARCHAR"], "BOOLEAN", side_effects=True
    )
    con.execute("SET GLOBAL quack_authorization_function = 'listune_authorise'")
    _start(con, f"quack:{settings.sql_host}:{settings.sql_port}", settings.sql_token)
    memory = _memory_bytes(con)
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    tell_ready()
    return _watch(con, settings.sql_timeout_s, memory, gone)


def _make_views(con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
    """The writer's views for people, under the same names here."""
    writer = json.loads(endpoint_path(settings).read_text(encoding="utf-8"))
    con.execute(f"ATTACH '{writer['uri']}' AS writer (TYPE quack, TOKEN '{writer['token']}')")
    for view in VIEWS:
        con.execute(f"CREATE VIEW {view} AS FROM writer.main.{view}")


def _memory_bytes(con: duckdb.DuckDBPyConnection) -> int:
    """What this process may take: twice DuckDB's own limit, and room for Python and threads.

    DuckDB's limit does not see the text that a function makes: `replace` of a long text by a long
    text took 3 GB under a limit of 256 MB.
    """
    row = con.execute("SELECT current_setting('memory_limit')").fetchone()
    assert row is not None
    number, unit = str(row[0]).split()
    power = ("bytes", "KiB", "MiB", "GiB", "TiB").index(unit)
    return 2 * int(float(number) * 1024**power) + PROCESS_BYTES


def _watch(
    con: duckdb.DuckDBPyConnection,
    limit_s: float,
    memory: int,
    gone: Callable[[], bool],
) -> int:
    """Returns once a statement takes too long or too much, or nobody is left to serve."""
    process = psutil.Process()
    seen: dict[tuple[object, ...], float] = {}
    pinged = time.monotonic()
    while not gone():
        time.sleep(WATCH_S)
        if process.memory_info().rss > memory:
            return EXIT_TOO_LARGE
        now = time.monotonic()
        running = con.execute(
            "SELECT connection_id, query_started_at FROM quack_active_connections() "
            "WHERE state = 'active'"
        ).fetchall()
        seen = {key: seen.get(key, now) for key in running}
        if any(now - since > limit_s for since in seen.values()):
            return EXIT_TOO_LONG
        # Not while a statement runs: it would end what is still streaming from the writer.
        if now - pinged > 1 and not running:
            pinged = now
            try:
                con.execute("FROM writer.main.models LIMIT 1").fetchall()
            except duckdb.Error:
                return EXIT_WRITER_GONE
    return 0


def _start(con: duckdb.DuckDBPyConnection, uri: str, token: str) -> None:
    # Bound to the address in the URI; the option is about names in a request's Host header.
    con.execute("CALL quack_serve($1, token := $2, allow_other_hostname := true)", [uri, token])


def _meaning(code: int, settings: StreamsSettings) -> str:
    reasons = {
        EXIT_TOO_LONG: f"a statement ran for more than {settings.sql_timeout_s:g} s",
        EXIT_TOO_LARGE: f"a statement took far more memory than {settings.sql_memory}",
        EXIT_WRITER_GONE: "the pool's writer is not there",
    }
    return reasons.get(code, f"exit code {code}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _child() -> None:
    """The process that serves: settings come on standard input, whose end means to end."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    settings = StreamsSettings.model_validate_json(sys.stdin.readline())
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    code = _serve(settings, ended.is_set)
    # At once: a statement that is still running would hold an orderly exit up.
    os._exit(code)


if __name__ == "__main__":
    _child()
