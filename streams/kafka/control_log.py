"""The control topics followed from their beginning, without a consumer group.

`model.events`, `training.retrain` and `listune.forgotten` are read whole by everyone who needs to
know the champion, the rounds or what is forgotten (in a group only one member would see an event).
`ControlLog` does it in a thread of its own: every record goes to the callbacks in log order; it is
ready when it has reached the ends that stood when it started.

`ChampionAlias` and `PublishedEvents` are two such callbacks: who is champion, and what is already
in the log.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException

from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import (
    BASE_ADAPTER,
    ListingForgotten,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
)
from schemas.topic_names import CONTROL_KINDS, CONTROL_TOPICS
from streams.errors import ControlLogError
from streams.kafka.clients import in_kafka, reader
from streams.kafka.topics import log_bounds
from streams.settings import StreamsSettings

log = logging.getLogger(__name__)

ControlEvent = ModelEvent | RetrainRequest | ListingForgotten


@dataclass(frozen=True)
class ControlRecord:
    """One record of a control topic; `event` is None where it could not be read (`error`)."""

    topic: str
    offset: int
    event: ControlEvent | None
    key: bytes | None = None
    payload: bytes | None = None
    error: EventError | None = None


Callback = Callable[[ControlRecord], None]


class ControlLog:
    """Follows the control topics in a daemon thread; a context manager that starts and closes it.

    Callbacks run on that thread, one record after another, topic by topic in offset order. An
    exception ends the thread and is raised by `check` and `wait_ready`.
    """

    def __init__(self, settings: StreamsSettings, callbacks: Sequence[Callback]) -> None:
        self._settings = settings
        self._callbacks = tuple(callbacks)
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="control-log", daemon=True)

    def __enter__(self) -> "ControlLog":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether everything that was in the log at the start has been delivered."""
        return self._ready.is_set()

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Waits until `ready`.

        Raises:
            ControlLogError: not ready in time, or the thread has failed.
        """
        end = time.monotonic() + timeout_s
        while not self._ready.wait(0.05):
            self.check()
            if time.monotonic() > end:
                raise ControlLogError(
                    f"the control topics were not read within {timeout_s:g} s; see whether Kafka "
                    f"at {self._settings.bootstrap_servers} is up and has its topics"
                )

    def check(self) -> None:
        """Raises `ControlLogError` if the thread has failed."""
        if self._failure is not None:
            raise ControlLogError(
                f"the control topics cannot be followed: {self._failure}"
            ) from self._failure

    def close(self) -> None:
        """Stops the thread; safe to call twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        more = {"auto.offset.reset": "earliest", "enable.partition.eof": True}
        consumer = reader(self._settings, "listune.control-log", **more)
        try:
            self._follow(consumer)
        except Exception as error:
            log.exception("the control log stopped")
            self._failure = error
        finally:
            consumer.close()

    def _follow(self, consumer: Consumer) -> None:
        bounds = log_bounds(self._settings, CONTROL_TOPICS)
        wanted = {topic: end for (topic, _), (_, end) in bounds.items() if end > 0}
        begin = {(topic, 0): OFFSET_BEGINNING for topic in CONTROL_TOPICS}
        consumer.assign(in_kafka(self._settings, begin))
        while not self._stop.is_set():
            message = consumer.poll(0.1)
            if message is not None:
                fault = message.error()
                topic = self._settings.from_kafka(str(message.topic()))
                offset = int(message.offset() or 0)
                if fault is None:
                    self._deliver(topic, offset, message.key(), message.value())
                    reached = offset + 1
                elif fault.code() == KafkaError._PARTITION_EOF:
                    # Compaction may have removed the last records: the end counts, not a record.
                    reached = offset
                else:
                    raise KafkaException(fault)
                if reached >= wanted.get(topic, 0):
                    wanted.pop(topic, None)
            if not wanted:
                self._ready.set()

    def _deliver(self, topic: str, offset: int, key: bytes | None, payload: bytes | None) -> None:
        event: ControlEvent | None = None
        fault: EventError | None = None
        try:
            event = decode(CONTROL_KINDS[topic], payload, self._settings.max_event_bytes)
        except EventError as error:
            fault = error
            log.warning("%s offset %d is skipped: %s", topic, offset, error)
        record = ControlRecord(topic, offset, event, key, payload, fault)
        for callback in self._callbacks:
            callback(record)


@dataclass(frozen=True)
class Champion:
    """The adapter that the alias `champion` names; `uri` is its file, None for the base."""

    id: str = BASE_ADAPTER
    hash: str = BASE_ADAPTER
    uri: str | None = None


class ChampionAlias:
    """Follows the champion through `model.events`; the base until an adapter is promoted.

    There is one alias on a topic, as its record key `alias:champion` says.
    """

    def __init__(self) -> None:
        self._champion = Champion()
        self._uris: dict[str, str] = {}

    @property
    def champion(self) -> Champion:
        """The adapter that answers now. Replaced as a whole, so any thread may read it."""
        return self._champion

    def __call__(self, record: ControlRecord) -> None:
        """Takes one control record into account."""
        event = record.event
        if not isinstance(event, ModelEvent):
            return
        if event.adapter_hash and event.adapter_uri:
            self._uris[event.adapter_hash] = event.adapter_uri
        if event.kind in (ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK):
            adapter_hash = event.adapter_hash or BASE_ADAPTER
            self._champion = Champion(
                event.adapter_id or BASE_ADAPTER, adapter_hash, self._uris.get(adapter_hash)
            )


class PublishedEvents:
    """Remembers what the control topics hold, so that an outbox never publishes twice."""

    def __init__(self) -> None:
        self._seen: set[tuple[object, ...]] = set()

    def __call__(self, record: ControlRecord) -> None:
        """Takes one control record into account."""
        if record.event is not None:
            self._seen.add(_identity(record.event))

    def __contains__(self, event: object) -> bool:
        return isinstance(event, ControlEvent) and _identity(event) in self._seen


def _identity(event: ControlEvent) -> tuple[object, ...]:
    if isinstance(event, RetrainRequest):
        return ("round", event.pool, event.round, event.attempt, event.look)
    if isinstance(event, ListingForgotten):
        return ("forgotten", event.key())
    return ("event", event.event_id)
