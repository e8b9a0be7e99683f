"""A chat endpoint on this machine that says what a test tells it to, right or wrong."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Misbehaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Said:
    """One reply; `instead` writes what it likes in its place."""

    status: int = 200
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    instead: Misbehaviour | None = None


class Chat:
    """A server that gives its replies in turn, the last one again and again."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, str] | Said] = []
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                said = chat.take({"path": self.path, **json.loads(body)}, dict(self.headers))
                if said.instead is not None:
                    self.close_connection = True
                    said.instead(self)
                    return
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said.text.encode())))
                self.end_headers()
                self.wfile.write(said.text.encode())

            def do_GET(self) -> None:  # where a redirect would lead
                chat.asked.append({"path": self.path})
                chat.headers.append(dict(self.headers))
                self.send_error(404)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def take(self, asked: dict[str, Any], headers: dict[str, str]) -> Said:
        """The reply to what is asked."""
        with self._lock:
            self.asked.append(asked)
            self.headers.append(headers)
            said = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return said if isinstance(said, Said) else Said(*said)

    def says(self, content: Any, finish: str = "stop", usage: Any = ...) -> None:
        """The next reply has `content` as the assistant's message."""
        if usage is ...:
            usage = {"prompt_tokens": 50, "completion_tokens": 20}
        message = {"role": "assistant", "content": content}
        choice = {"message": message, "finish_reason": finish}
        self.replies.append((200, json.dumps({"choices": [choice], "usage": usage})))

    def does(self, instead: Misbehaviour) -> None:
        """The next reply is whatever `instead` writes; then the connection is closed."""
        self.replies.append(Said(instead=instead))


@contextmanager
def chatting() -> Iterator[Chat]:
    """A server that is up within the block."""
    made = Chat()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()
