"""Ten thousand hostile events: neither worker stops, and each record is accounted for."""

import hashlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import duckdb
from confluent_kafka import ConsumerGroupTopicPartitions, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.category import CategorySchemas
from schemas.events import DeadLetter
from schemas.foreign import FRAME_BYTES
from schemas.topic_names import BACKFILL, DEAD_LETTERS, PREDICTIONS, REQUESTS, REVIEWS
from streams.kafka.log_reader import read_span
from streams.kafka.topics import admin_client, log_bounds, record_limit
from streams.predict import app as predict_app
from streams.settings import StreamsSettings
from tests.streams.hostile import Hostile, Sent
from tests.streams.support import MakeWorker, Worker, read_all
from tests.waiting import wait_for

EVENTS = int(os.environ.get("LISTUNE_HOSTILE_EVENTS", "10000"))
SEED = int(os.environ.get("LISTUNE_HOSTILE_SEED", "1"))
PATIENCE_S = 300.0

Place = tuple[str, int, int]
Log = dict[Place, bytes | None]
IDENTITY = {REQUESTS: "request_id", PREDICTIONS: "request_id", REVIEWS: "review_id"}


def test_ten_thousand_hostile_events_are_each_accounted_for(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate, predict = worker("curate").start(), worker("predict").start()
    # What is larger the broker itself refuses.
    stored = record_limit(settings) - 1024
    made = Hostile(schemas, SEED).events(EVENTS)
    sent = [record for record in made if len(record.value or b"") <= stored]
    produce(settings, sent)
    admin = admin_client(settings)
    wait_for(lambda: alive(predict) and answered_all(settings, admin), PATIENCE_S)
    wait_for(lambda: alive(curate) and applied_all(settings, admin, curate), PATIENCE_S)
    assert (predict.stop(), curate.stop()) == (0, 0)

    log = {topic: read(settings, topic) for topic in (REQUESTS, BACKFILL, PREDICTIONS, REVIEWS)}
    everything = {place: value for part in log.values() for place, value in part.items()}
    letters = [
        DeadLetter.model_validate_json(v or b"") for v in read(settings, DEAD_LETTERS).values()
    ]
    check_letters(letters, everything)
    buried = Counter((one.topic, one.partition, one.offset) for one in letters)
    for topic in IDENTITY:
        check_pool(settings, topic, log[topic], buried)
    own = {record.value for record in sent}
    check_answers(log, buried, [v for v in log[PREDICTIONS].values() if v not in own])


def check_letters(letters: Sequence[DeadLetter], everything: Log) -> None:
    """Each letter is about a record that is there, and has its hash and a reason."""
    for letter in letters:
        value = everything[letter.topic, letter.partition, letter.offset] or b""
        assert letter.sha256 == hashlib.sha256(value).hexdigest() or letter.reason == "not_storable"
        assert letter.error


def check_pool(settings: StreamsSettings, topic: str, log: Log, buried: Counter[Place]) -> None:
    """Each record is a row, or a dead letter, or a later one of a row's identity."""
    name, table = IDENTITY[topic], topic.removeprefix("listing.")
    with duckdb.connect(str(settings.pool_dir / "default.duckdb"), read_only=True) as con:
        found = con.execute(f'SELECT {name}, partition, "offset" FROM store.{table}').fetchall()
    first = {row[0]: (topic, row[1], row[2]) for row in found}
    rows = set(first.values())
    assert len(rows) == len(found)
    in_log = log_order(settings, topic)
    for place, value in log.items():
        if place in rows:
            assert buried[place] == 0, f"{place} is a row and a dead letter: {value!r:.200}"
        elif buried[place] == 0:
            identity = fields(value)[name]
            assert in_log[first[identity]] < in_log[place], f"{place} is lost: {value!r:.200}"


def log_order(settings: StreamsSettings, topic: str) -> dict[Place, tuple[int, int, int]]:
    """What the records of a topic are ordered by, over all its partitions."""
    return {
        (topic, one.partition, one.offset): (one.timestamp_ms, one.offset, one.partition)
        for batch in read_span(settings, log_bounds(settings, [topic]))
        for one in batch
    }


def check_answers(
    log: dict[str, Log], buried: Counter[Place], answers: Sequence[bytes | None]
) -> None:
    """Each request is answered as often as it was sent, or is a dead letter."""
    asked: Counter[str] = Counter()
    for topic, by_both in ((REQUESTS, 2), (BACKFILL, 1)):
        for place, value in log[topic].items():
            # A request that only the pool cannot store is answered all the same.
            if buried[place] < by_both:
                asked[fields(value)["request_id"]] += 1
            assert buried[place] <= by_both
    assert asked == Counter(fields(value)["request_id"] for value in answers)


def fields(value: bytes | None) -> Any:
    """What an event that was read says, without the frame of a Schema Registry."""
    content = value or b"{}"
    return json.loads(content if content[0] else content[FRAME_BYTES:])


def produce(settings: StreamsSettings, records: Sequence[Sent]) -> None:
    """Sends them as they are; the SDK and `Publisher` would refuse most."""
    failed: list[object] = []

    def delivered(error: object, _: Message) -> None:
        if error is not None:
            failed.append(error)

    # The broker's limit, two events of the largest size, holds for a batch of records too.
    producer = Producer(
        {"bootstrap.servers": settings.bootstrap_servers, "batch.size": settings.max_event_bytes}
    )
    for record in records:
        producer.produce(record.topic, record.value, record.key, on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert failed == []


def read(settings: StreamsSettings, topic: str) -> Log:
    return {(topic, part, offset): value for part, offset, _, value in read_all(settings, topic)}


def alive(worker: Worker) -> bool:
    assert not worker.dead(), worker.log.read_text()[-3000:]
    return True


def ends(settings: StreamsSettings, admin: AdminClient, *topics: str) -> dict[tuple[str, int], int]:
    time.sleep(0.3)  # the broker has more to do than to answer this
    bounds = log_bounds(settings, topics, PATIENCE_S, admin)
    return {place: end for place, (_, end) in bounds.items() if end}


def answered_all(settings: StreamsSettings, admin: AdminClient) -> bool:
    """Whether predict has committed all that it was asked."""
    wanted = ends(settings, admin, REQUESTS, BACKFILL)
    asked = ConsumerGroupTopicPartitions(
        predict_app.GROUP, [TopicPartition(*place) for place in wanted]
    )
    [future] = admin.list_consumer_group_offsets([asked]).values()
    committed: Any = future.result(PATIENCE_S).topic_partitions
    return {(one.topic, one.partition): one.offset for one in committed} == wanted


def applied_all(settings: StreamsSettings, admin: AdminClient, curate: Worker) -> bool:
    """Whether the pool has the last record of all topics, by what the worker logged last."""
    logged = re.findall(r"applied (\d+)\.", curate.log.read_text())
    total = sum(ends(settings, admin, REQUESTS, PREDICTIONS, REVIEWS).values())
    return bool(logged) and int(logged[-1]) == total
