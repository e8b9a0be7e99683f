"""Waiting for the prediction that answers a request: the reply half of the SDK.

A background thread follows `listing.predictions` without a group. It is placed at explicit end
offsets *before* any request goes out, so that an answer cannot slip by, and the first prediction
that it sees for a `request_id` is the canonical one.
"""

import logging
import threading
from concurrent.futures import Future

from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import ListingPrediction
from schemas.topic_names import PREDICTIONS
from streams.errors import StreamsError
from streams.kafka.clients import in_kafka, reader
from streams.kafka.topics import log_bounds, record_limit
from streams.settings import StreamsSettings

log = logging.getLogger(__name__)


class Replies:
    """Hands each prediction to those who wait for it; safe for several threads."""

    def __init__(self, settings: StreamsSettings) -> None:
        """Returns when the thread is placed at the ends of the partitions.

        Raises:
            TopicsError: the topic cannot be read.
        """
        bounds = log_bounds(settings, [PREDICTIONS])
        self._settings = settings
        self._waiting: dict[str, Future[ListingPrediction]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        more = {
            "auto.offset.reset": "latest",
            "fetch.wait.max.ms": 50,
            "fetch.message.max.bytes": record_limit(settings),
        }
        self._consumer = reader(settings, "listune.replies", **more)
        ends = {place: end for place, (_, end) in bounds.items()}
        self._consumer.assign(in_kafka(settings, ends))
        self._thread = threading.Thread(target=self._follow, name="replies", daemon=True)
        self._thread.start()

    def expect(self, request_id: str) -> Future[ListingPrediction]:
        """The future answer to `request_id`; call it before the request is sent."""
        with self._lock:
            return self._waiting.setdefault(request_id, Future())

    def forget(self, request_id: str) -> None:
        """Nobody waits for this answer any more."""
        with self._lock:
            self._waiting.pop(request_id, None)

    def close(self) -> None:
        """Ends the thread; whoever still waits gets a `StreamsError`."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        while not self._stop.is_set():
            message = self._consumer.poll(0.1)
            fault = message.error() if message is not None else None
            if fault is not None:
                log.warning("%s: %s", PREDICTIONS, fault.str())
            elif message is not None:
                self._deliver(message.value())
        self._consumer.close()
        with self._lock:
            for future in self._waiting.values():
                future.set_exception(StreamsError("the client was closed before the answer came"))
            self._waiting.clear()

    def _deliver(self, payload: bytes | None) -> None:
        with self._lock:
            if not self._waiting:
                return
        try:
            prediction = decode(ListingPrediction, payload, self._settings.max_event_bytes)
        except EventError:
            return  # the curate app writes its dead letter
        with self._lock:
            future = self._waiting.pop(prediction.request_id, None)
        if future is not None:
            future.set_result(prediction)
