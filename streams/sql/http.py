"""The SQL endpoint over HTTP: `POST /query`, a statement as the body, rows as JSON or CSV.

A translation of the Quack client and no more: the same guard before it, and the statement runs in
the same sidecar under the same limits of memory and time. So a statement that brings the sidecar
down leaves this server up to say so. A connection carries one statement; there are `CONNECTIONS`
at a time, and who comes beyond is told to try again.
"""

import csv
import hmac
import io
import json
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import duckdb

from streams.settings import StreamsSettings
from streams.sql.client import SqlAway, SqlError, SqlTimeout, ask, load_extensions
from streams.sql.guard import RefusedError, SqlGuard

CONNECTIONS = 8
MAX_BODY_BYTES = 64 * 1024
# A client that says nothing for so long gives its place to another.
SILENCE_S = 10.0

JSON, CSV, TEXT = "application/json", "text/csv; charset=utf-8", "text/plain; charset=utf-8"


@contextmanager
def serving(settings: StreamsSettings) -> Iterator[int]:
    """Serves on `sql_host:sql_http_port` while the block runs; gives the port (0 takes any).

    Raises:
        OSError: the port is taken.
    """
    server = _Server(settings)
    thread = threading.Thread(target=server.serve_forever, name="sql-http", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a statement under way would hold an orderly end up

    def __init__(self, settings: StreamsSettings) -> None:
        self.settings = settings
        self.guard = SqlGuard()
        self.con = duckdb.connect(config={"memory_limit": settings.sql_memory})
        load_extensions(self.con)
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__((settings.sql_host, settings.sql_http_port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = SILENCE_S

    def do_POST(self) -> None:
        if self.path != "/query":
            self._say(HTTPStatus.NOT_FOUND, "send the statement to POST /query")
            return
        if not self._authorised():
            self._say(
                HTTPStatus.UNAUTHORIZED,
                "send `Authorization: Bearer TOKEN` with the token of streams.sql_token",
            )
            return
        sql = self._statement()
        if sql is not None:
            self._answer(sql)

    def log_message(self, *_: Any) -> None:
        """Nothing: the sidecar's log has what was refused."""

    def _authorised(self) -> bool:
        wanted = f"Bearer {self.server.settings.sql_token}"
        given = self.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), wanted.encode())

    def _statement(self) -> str | None:
        """The body; None where it was refused."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._say(HTTPStatus.LENGTH_REQUIRED, "send the statement with its Content-Length")
        elif len(length) > 9 or int(length) > MAX_BODY_BYTES:
            self._say(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"a statement has {MAX_BODY_BYTES} bytes at most",
            )
        else:
            try:
                return self.rfile.read(int(length)).decode()
            except UnicodeDecodeError:
                self._say(HTTPStatus.BAD_REQUEST, "the statement is not UTF-8")
        return None

    def _answer(self, sql: str) -> None:
        settings = self.server.settings
        try:
            self.server.guard.check(sql)
            with self.server.con.cursor() as con:
                columns, rows = ask(con, settings, sql, settings.sql_http_rows + 1)
        except SqlTimeout as error:
            self._say(HTTPStatus.REQUEST_TIMEOUT, str(error))
        except SqlAway as error:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except (RefusedError, SqlError) as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
        else:
            truncated = len(rows) > settings.sql_http_rows
            rows = rows[: settings.sql_http_rows]
            if "text/csv" in self.headers.get("Accept", ""):
                body, kind = to_csv(columns, rows), CSV
            else:
                body, kind = to_json(columns, rows, truncated), JSON
            self._send(HTTPStatus.OK, kind, body, {"X-Truncated": str(truncated).lower()})

    def _say(self, status: HTTPStatus, sentence: str) -> None:
        headers = {
            HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
            HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
        }
        self._send(status, TEXT, sentence + "\n", headers.get(status, {}))

    def _send(self, status: HTTPStatus, kind: str, body: str, headers: dict[str, str]) -> None:
        content = body.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(content)}.items():
            self.send_header(name, str(value))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def to_json(columns: Sequence[str], rows: Sequence[Sequence[Any]], truncated: bool) -> str:
    """An object with `columns`, `rows` (lists in their order) and `truncated`."""
    plain = [[_plain(value) for value in row] for row in rows]
    content = {"columns": list(columns), "rows": plain, "truncated": truncated}
    return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A header and a line a row; NULL is empty, a list or struct stands as JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: Any) -> Any:
    plain = _plain(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list | dict) else plain


def _plain(value: Any) -> Any:
    """What JSON has for a value of DuckDB's: NaN is null, a time or a decimal is its text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [_plain(entry) for entry in value]
        case dict():
            return {str(name): _plain(entry) for name, entry in value.items()}
    return str(value)
