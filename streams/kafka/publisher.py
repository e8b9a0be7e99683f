"""The one way in which this room writes to Kafka: idempotent, confirmed, one partitioner.

The SDK and the workers all send through `Publisher`, so that size limit, partitioner and delivery
guarantees are the same everywhere (Faust's own producer stops at 1 MB and partitions for itself).
`send` gives a future that is done when the broker has the record on disk of all its replicas.
"""

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from streams.errors import DeliveryError
from streams.kafka.topics import COMPRESSION, PARTITIONER, record_limit
from streams.settings import StreamsSettings

PARTITION_BY_KEY = -1  # librdkafka's PARTITION_UA
LINGER_MS = 2
"""So long a record waits for others that go to the same partition with it."""
USUAL_LEVEL = -1
"""Gzip's own."""
_DELIVERY_TIMEOUT_S = 60.0
_QUEUE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Position:
    """Where a record lies in the log."""

    topic: str
    partition: int
    offset: int


class Publisher:
    """An idempotent producer whose delivery reports are futures; safe for several threads."""

    def __init__(
        self,
        settings: StreamsSettings,
        client_id: str = "listune",
        linger_ms: int = LINGER_MS,
        compression_level: int = USUAL_LEVEL,
    ) -> None:
        """Connect as `client_id`; `linger_ms` as `LINGER_MS`; `compression_level` is gzip's, 1 to
        9."""
        self._settings = settings
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "client.id": client_id,
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": PARTITIONER,
                "linger.ms": linger_ms,
                "compression.type": COMPRESSION,
                "compression.level": compression_level,
                "message.max.bytes": record_limit(settings),
                "queue.buffering.max.kbytes": max(_QUEUE_BYTES, 4 * record_limit(settings)) // 1024,
                "delivery.timeout.ms": int(_DELIVERY_TIMEOUT_S * 1000),
                "log_level": 2,
            }
        )
        self._closed = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-delivery", daemon=True)
        self._poller.start()

    def send(
        self, topic: str, key: str | None, value: bytes, partition: int = PARTITION_BY_KEY
    ) -> Future[Position]:
        """Queues a record for what is `topic` to us; waits for room while the queue is full.

        The future gives the record's position or raises `DeliveryError`. Its callbacks run on the
        delivery thread and must be short.
        """
        delivered: Future[Position] = Future()
        delivered.set_running_or_notify_cancel()

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                delivered.set_exception(
                    DeliveryError(f"a record for {topic} was not stored: {error.str()}; try again")
                )
            else:
                place = (int(message.partition() or 0), int(message.offset() or 0))
                delivered.set_result(Position(topic, *place))

        known_as = self._settings.in_kafka(topic)
        while True:
            if self._closed.is_set():
                raise DeliveryError("this producer is closed; make a new one")
            try:
                raw_key = None if key is None else key.encode()
                self._producer.produce(known_as, value, raw_key, partition, on_delivery)
                return delivered
            except BufferError:
                # Backpressure: the delivery thread makes room as the broker confirms records.
                time.sleep(0.01)

    def flush(self, deadline_s: float) -> None:
        """Waits until every record queued is confirmed or has failed.

        Raises:
            DeliveryError: records remain after `deadline_s` seconds.
        """
        remaining = self._producer.flush(deadline_s)
        if remaining:
            raise DeliveryError(
                f"{remaining} records are not confirmed after {deadline_s:g} s; "
                "see whether the broker is up and flush again"
            )

    def close(self) -> None:
        """Stops the delivery thread; records not yet confirmed are given up. Flush first."""
        self._closed.set()
        if threading.current_thread() is not self._poller:
            self._poller.join(timeout=5)

    def _poll(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(0.1)
