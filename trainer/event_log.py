"""What the trainer and others say of rounds, and which listings are forgotten."""

import logging

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)

from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import (
    TERMINAL_KINDS,
    ListingForgotten,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
)
from trainer.kafka_errors import PASSING, raise_unless_passing
from trainer.settings import KafkaSettings

logger = logging.getLogger(__name__)

ANSWERED = TERMINAL_KINDS | {ModelEventKind.PROPOSED}
"""The kinds after which the trainer has no more to do for a round."""

Attempt = tuple[int, int, int]
"""Round, attempt and look."""

POLL_S = 0.5
FETCH_WAIT_MS = 50
DELIVERY_S = 120.0


class EventLog:
    """`model.events`, written and followed, and `listune.forgotten`; use as a context manager.

    Both are read without a group from the beginning, because compaction and restarts must not hide
    that a round was answered already, or that a listing is forgotten.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = settings.events_topic
        self._read_to = dict.fromkeys((self._topic, settings.forgotten_topic), 0)
        servers = {"bootstrap.servers": settings.bootstrap_servers}
        self._producer = Producer(
            servers
            | {
                "enable.idempotence": True,
                "message.max.bytes": settings.max_event_bytes,
                "delivery.timeout.ms": int(DELIVERY_S * 1000),
            }
        )
        self._consumer = Consumer(
            servers
            | {
                # Required by the client, never joined: partitions are assigned by hand.
                "group.id": f"{settings.group}.events",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                # A broker answers a connection in order: asked for a topic's end while a fetch
                # waits for records, it answers after that. By default a fetch waits 500 ms, and of
                # two questions in a row one was always late.
                "fetch.wait.max.ms": FETCH_WAIT_MS,
            }
        )
        self._consumer.assign([TopicPartition(t, 0, OFFSET_BEGINNING) for t in self._read_to])
        self._answered: set[tuple[str, *Attempt]] = set()
        self._latest: dict[tuple[str, int], Attempt] = {}
        self._newest: dict[str, int] = {}
        self._forgotten: set[str] = set()

    @property
    def forgotten(self) -> frozenset[str]:
        """SHA-256 of the listings that are forgotten, as far as the log is read."""
        return frozenset(self._forgotten)

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.flush(POLL_S)
        self._consumer.close()

    def catch_up(self) -> bool:
        """Read on towards the present ends; whether they are reached. Returns within seconds.

        Raises:
            KafkaException: a topic cannot be read.
        """
        try:
            ends = {
                topic: self._consumer.get_watermark_offsets(
                    TopicPartition(topic, 0), timeout=POLL_S
                )[1]
                for topic in self._read_to
            }
        except KafkaException as error:
            if error.args[0].code() in PASSING:
                return False
            raise

        def behind() -> bool:
            return any(self._read_to[topic] < end for topic, end in ends.items())

        while behind() and self._read(POLL_S):
            pass
        return not behind()

    def follow(self) -> None:
        """Take note of what is there already, without waiting."""
        while self._read(0):
            pass

    def answered(self, request: RetrainRequest) -> bool:
        """Whether the round, in this attempt and look, is closed or proposed, as far as the log is
        read.

        Compaction keeps only the latest event of a round: something said of a later attempt or look
        closes this one too. Rounds follow each other, but for a look at an earlier round's
        challenger.
        """
        attempt = (request.round, request.attempt, request.look)
        if (request.pool, *attempt) in self._answered:
            return True
        latest = self._latest.get((request.pool, request.round), attempt)
        later_round = request.look == 1 and request.round < self._newest.get(request.pool, 0)
        return later_round or attempt < latest

    def publish(self, event: ModelEvent) -> None:
        """Write `event` and wait until the broker has it.

        Raises:
            KafkaException: it was not delivered.
        """
        failures: list[KafkaError] = []
        self._producer.produce(
            self._topic,
            event.to_bytes(),
            event.key().encode(),
            partition=0,
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
        left = self._producer.flush(DELIVERY_S + POLL_S)
        if failures or left:
            raise KafkaException(failures[0] if failures else KafkaError(KafkaError._TIMED_OUT))

    def tell(self, event: ModelEvent) -> None:
        """Write `event` without waiting: the next heartbeat makes up for a lost one."""
        self._producer.produce(self._topic, event.to_bytes(), event.key().encode(), partition=0)
        self._producer.poll(0)

    def _read(self, timeout: float) -> bool:
        """Read one record; whether there was anything."""
        message = self._consumer.poll(timeout)
        if message is None:
            return False
        error = message.error()
        topic, offset = str(message.topic()), int(message.offset() or 0)
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._read_to[topic] = max(self._read_to[topic], offset)
                return True
            raise_unless_passing(error)
            return False
        self._read_to[topic] = offset + 1
        try:
            if topic == self._topic:
                self._note(decode(ModelEvent, message.value()))
            else:
                self._forgotten.add(decode(ListingForgotten, message.value()).listing_sha256)
        except EventError as wrong:
            logger.warning("%s, offset %s: %s", topic, offset, wrong)
        return True

    def _note(self, event: ModelEvent) -> None:
        attempt = (event.round, event.attempt, event.look)
        place = (event.pool, event.round)
        self._latest[place] = max(self._latest.get(place, attempt), attempt)
        self._newest[event.pool] = max(self._newest.get(event.pool, 0), event.round)
        if event.kind in ANSWERED:
            self._answered.add((event.pool, *attempt))
