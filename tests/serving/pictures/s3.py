"""A small S3 on this machine: objects in memory, and no answer to one without credentials."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

import pytest

KEY_ID = "a-key-of-the-environment"


@contextmanager
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """The objects of an S3 that the environment names, by `bucket/key`."""
    objects: dict[str, bytes] = {}

    class Handler(_Handler):
        kept = objects

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    try:
        yield objects
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    kept: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.kept[self._name()] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200)

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        if "list-type" in asked:
            self._answer(200, self._listed(asked.get("prefix", [""])[0]))
        elif (found := self.kept.get(self._name())) is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(200, found)

    def do_POST(self) -> None:
        """DeleteObjects."""
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        gone = re.findall("<Key>(.*?)</Key>", asked)
        for key in gone:
            self.kept.pop(f"{self._name()}/{unescape(key)}", None)
        done = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in gone)
        self._answer(200, f"<DeleteResult>{done}</DeleteResult>".encode())

    def log_message(self, *_: Any) -> None:
        pass

    def _name(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/")

    def _listed(self, prefix: str) -> bytes:
        bucket = self._name()
        keys = [name.removeprefix(f"{bucket}/") for name in self.kept]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>1</Size><ETag>x</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys
            if key.startswith(prefix)
        )
        whole = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        return whole.encode()

    def _answer(self, status: int, body: bytes = b"") -> None:
        if f"Credential={KEY_ID}/" not in self.headers.get("Authorization", ""):
            status, body = 403, b"<Error><Code>AccessDenied</Code></Error>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)
