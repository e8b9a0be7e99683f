"""What the tests of this room share around Kafka: waiting, topics, real worker processes.

`tests.streams.world` has the events, and a pool without Kafka.
"""

import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from confluent_kafka import KafkaError, Producer, TopicPartition

from schemas.category import CategorySchemas
from schemas.events import ListingPrediction, ListingRequest, ListingReview, new_id
from schemas.topic_names import KINDS
from serving.process.ready import READY_FILE
from streams.kafka.clients import in_kafka, reader
from streams.kafka.publisher import Publisher
from streams.kafka.topics import (
    PARTITIONER,
    admin_client,
    ensure_topics,
    log_bounds,
    topic_specs,
)
from streams.settings import StreamsSettings
from tests.forks import FORKS
from tests.streams.worker_process import begin
from tests.streams.world import prediction, request, review
from tests.waiting import LONG_S, wait_for

ROOT = Path(__file__).parents[2]

TOPIC_OF = {kind: topic for topic, kind in KINDS.items()}

Triple = tuple[ListingRequest, ListingPrediction, ListingReview]


def recreate_topics(settings: StreamsSettings) -> None:
    admin = admin_client(settings)
    existing = admin.list_topics(timeout=10).topics.keys()
    ours = [spec.name for spec in topic_specs(settings) if spec.name in existing]
    if ours:
        for future in admin.delete_topics(ours).values():
            future.result(10)
    wait_for(lambda: not set(ours) & admin.list_topics(timeout=10).topics.keys())
    ensure_topics(settings)


def apart(settings: StreamsSettings) -> StreamsSettings:
    """With topics and groups that no other test has: a member that one of them killed would be
    waited for until its session is over, where no worker of its name comes back."""
    changed = settings.model_copy(update={"prefix": f"{new_id()}."})
    ensure_topics(changed)
    return changed


def delete_all_records(settings: StreamsSettings) -> None:
    """What retention does to payload topics, at once."""
    ends = {place: end for place, (_, end) in log_bounds(settings, KINDS).items() if end}
    admin = admin_client(settings)
    for future in admin.delete_records(in_kafka(settings, ends)).values():
        future.result(10)


def read_all(settings: StreamsSettings, topic: str) -> list[tuple[int, int, bytes, bytes]]:
    """Everything on a topic now: (partition, offset, key, value), in the order of each partition.

    The broker answers a fetch that finds nothing after half a second; here it need not wait.
    """
    more = {"fetch.wait.max.ms": 5, "enable.partition.eof": True}
    consumer = reader(settings, "reader", **more)
    found = []
    try:
        topic = settings.in_kafka(topic)
        unread = set(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in unread])
        while unread:
            message = consumer.poll(10)
            assert message is not None
            partition = message.partition()
            if message.error() is None:
                found.append((partition, message.offset(), message.key(), message.value()))
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                unread.remove(partition)
    finally:
        consumer.close()
    return sorted(found, key=lambda record: record[:2])


@dataclass
class Worker:
    """A worker process of this room, started for real; WORKER in `env` is its name, or 1."""

    kind: str
    settings: StreamsSettings
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    process: ForkServerProcess | None = None

    @property
    def ready_file(self) -> Path:
        return self.log.with_suffix(".ready")

    @property
    def log(self) -> Path:
        return self.folder / f"{self.kind}-{self.env.get('WORKER', '1')}.log"

    def start(self, timeout_s: float = 120.0) -> "Worker":
        """Starts it and waits until it says that it is ready."""
        env = os.environ | {READY_FILE: str(self.ready_file)} | self.env
        told = (self.kind, self.settings.model_dump_json(), dict(env), self.log)
        self.process = FORKS.Process(target=begin, args=told)
        self.process.start()
        pid = str(self.process.pid)
        wait_for(
            lambda: (
                self.dead() or (self.ready_file.exists() and pid in self.ready_file.read_text())
            ),
            timeout_s,
        )
        assert not self.dead(), self.log.read_text()[-3000:]
        return self

    def dead(self) -> bool:
        return self.process is None or self.process.exitcode is not None

    def kill(self) -> None:
        """SIGKILL: what is not on disk or on a topic is lost."""
        self.signal(signal.SIGKILL)
        self.code()

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.signal(signal.SIGTERM)
        return self.code()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        assert self.process.pid is not None
        if not self.dead():
            os.kill(self.process.pid, number)

    def code(self) -> int:
        """Waits for the end; gives the exit code."""
        assert self.process is not None
        self.process.join(LONG_S)
        assert self.process.exitcode is not None, "waited in vain for its end"
        return self.process.exitcode


MakeWorker = Callable[..., Worker]
"""The fixture `worker`: a kind, other settings, and what is to stand in the environment."""


def listing(schemas: CategorySchemas, listing_id: str) -> Triple:
    """A listing whose seller filled two attributes where the model filled none."""
    asked = request(listing_id, category_schema_hash=schemas["Lamps"].hash, description="")
    answer = prediction(asked, requested=["colour", "size"])
    return asked, answer, review(answer, submitted={"colour": ["red"], "size": ["5 cm"]})


def send(
    settings: StreamsSettings, *events: ListingRequest | ListingPrediction | ListingReview
) -> None:
    publisher = Publisher(settings)
    for event in events:
        publisher.send(TOPIC_OF[type(event)], event.listing_key, event.to_bytes())
    publisher.flush(10)
    publisher.close()


class Shop:
    """A listing service that writes in transactions, as Spring, Flink and Connect do."""

    def __init__(self, settings: StreamsSettings, name: str = "shop") -> None:
        self._settings = settings
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "transactional.id": name,
                "transaction.timeout.ms": 600_000,  # an open one is to last
                "partitioner": PARTITIONER,
                "log_level": 2,
            }
        )
        self._producer.init_transactions(60)

    def commit(self, *events: ListingRequest | ListingPrediction | ListingReview) -> None:
        """Writes the events in one transaction, beside what is written already."""
        self.write(*events)
        self.end()

    def abort(self, *events: ListingRequest | ListingPrediction | ListingReview) -> None:
        """Writes the events, so that they are in the log, and takes it back."""
        self.write(*events)
        self._producer.abort_transaction(60)

    def write(self, *events: ListingRequest | ListingPrediction | ListingReview) -> None:
        """Begins a transaction and leaves it open."""
        self._producer.begin_transaction()
        for event in events:
            topic = self._settings.in_kafka(TOPIC_OF[type(event)])
            self._producer.produce(topic, event.to_bytes(), event.listing_id.encode())
        self._producer.flush(60)

    def end(self) -> None:
        """Commits what is open."""
        self._producer.commit_transaction(60)


def applied(worker: Worker, records: int) -> bool:
    """Whether the pool has exactly this many records, by what the worker logged last."""
    logged = re.findall(r"applied (\d+)\.", worker.log.read_text())
    return bool(logged) and int(logged[-1]) == records
