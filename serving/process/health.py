"""Liveness, readiness and metrics of one process, over HTTP on the loopback.

    GET /live     200 while the process starts and its main loop turns, else 503: end it
    GET /ready    200 once the process does its work, else 503
    GET /metrics  all that is registered with prometheus_client, in Prometheus' text format

The answers come from a thread of their own, so that a main loop that hangs is seen to hang.
"""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import CONTENT_TYPE_LATEST, Gauge, Histogram, generate_latest

from serving.errors import HealthPortTaken

HOST = "127.0.0.1"

STAGE_SECONDS = Histogram(
    "listune_stage_seconds",
    "Time that a stage of the work took",
    ["stage"],
    # From a decoded batch to a night of training.
    buckets=[m * 10.0**e for e in range(-3, 4) for m in (1, 3)] + [1e4, 3e4],
)
READY = Gauge("listune_ready", "1 once the process does its work")


class Health:
    """What the process says of itself. Any thread may call any method."""

    def __init__(self, limit_s: float = 15.0, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit_s`: a main loop that has not turned for longer counts as dead."""
        self._limit_s = limit_s
        self._clock = clock
        self._turned_at = clock()
        self.turns = 0
        self.ready = False

    def turned(self) -> None:
        """The main loop came by."""
        self._turned_at = self._clock()
        self.turns += 1

    def tell_ready(self) -> None:
        """From now on the process does its work."""
        self.ready = True
        READY.set(1)

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """HTTP status, content type and body for a GET of `path`."""
        match path:
            case "/live":
                still_s = self._clock() - self._turned_at
                # To start may take minutes, such as to compute a whole pool anew.
                if self.turns and still_s > self._limit_s:
                    return _text(503, f"the main loop has not turned for {still_s:.0f} s")
                return _text(200, "live")
            case "/ready":
                return _text(200, "ready") if self.ready else _text(503, "not ready yet")
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest()
            case _:
                return _text(404, "there are /live, /ready and /metrics")

    def serve(self, port: int) -> None:
        """Answers on `port` of the loopback as long as the process lives; 0 = not at all.

        Raises:
            HealthPortTaken: something else listens there.
        """
        if port == 0:
            return
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0  # of a client that connects and says nothing

            def do_GET(self) -> None:
                status, kind, body = answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """A scrape every few seconds is no news."""

        try:
            server = ThreadingHTTPServer((HOST, port), Handler)
        except OSError as error:
            raise HealthPortTaken(
                f"port {port} for health and metrics cannot be opened ({error.strerror}); "
                "stop what listens there, or set another health_port"
            ) from None
        server.daemon_threads = True
        Thread(target=server.serve_forever, name="health", daemon=True).start()


def _text(status: int, line: str) -> tuple[int, str, bytes]:
    return status, "text/plain; charset=utf-8", f"{line}\n".encode()
