"""The topics: their names, their shape, their creation, and who the cluster is.

Payload topics are keyed by `listing_key` and have equal partition counts, neither transactional nor
compacted: offsets are dense and one listing's whole history lies in equal partitions. This holds
only if every writer maps a key to the same partition, so all of ours use `PARTITIONER`, the
murmur2 of Kafka's own Java client and of aiokafka (librdkafka's default is CRC32).
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from schemas.topic_names import (
    DEAD_LETTERS,
    FORGOTTEN,
    MODEL_EVENTS,
    PAYLOAD_TOPICS,
    RETRAIN,
)
from streams.errors import TopicsError
from streams.settings import StreamsSettings

PARTITIONER = "murmur2_random"

COMPRESSION = "gzip"
"""The one codec that aiokafka reads without further libraries. It is a setting of the topics, so
that the broker rewrites what a foreign producer compressed otherwise: it would end our workers."""

SEGMENTS = 24
"""Segments that a topic's retention is kept in: a record outlives it by one of them at most."""

_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class TopicSpec:
    """One topic as it ought to be, by its name in Kafka; `config` are Kafka's own settings."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


def record_limit(settings: StreamsSettings) -> int:
    """The largest record in bytes that topics, producers and consumers let through.

    Twice the size of the largest event: an event that is somewhat too large still reaches the
    topic and becomes a dead letter that its sender's team can see.
    """
    return 2 * settings.max_event_bytes


def topic_specs(settings: StreamsSettings) -> tuple[TopicSpec, ...]:
    """All topics of Listune."""
    sized = {
        "max.message.bytes": str(record_limit(settings)),
        "compression.type": COMPRESSION,
    }
    kept = sized | {
        "cleanup.policy": "delete",
        "retention.ms": str(settings.retention_hours * _HOUR_MS),
        # Kafka deletes whole segments, each after its youngest record: with its own default of a
        # week to a segment a record would be kept a week longer than asked for.
        "segment.ms": str(settings.retention_hours * _HOUR_MS // SEGMENTS),
    }
    forever = sized | {"cleanup.policy": "delete", "retention.ms": "-1"}
    # A reader that follows live must never miss an event because a newer one took its key.
    compacted = sized | {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(settings.retention_hours * _HOUR_MS),
    }
    specs = (
        *(TopicSpec(name, settings.partitions, kept) for name in PAYLOAD_TOPICS),
        TopicSpec(RETRAIN, 1, forever),
        TopicSpec(MODEL_EVENTS, 1, compacted),
        TopicSpec(FORGOTTEN, 1, compacted),
        TopicSpec(DEAD_LETTERS, 1, kept),
    )
    return tuple(replace(spec, name=settings.in_kafka(spec.name)) for spec in specs)


def admin_client(settings: StreamsSettings) -> AdminClient:
    """A quiet admin client: an unreachable broker is told by an exception, not on stderr."""
    return AdminClient(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "log_level": 2,
            "socket.timeout.ms": 10_000,
        }
    )


def ensure_topics(settings: StreamsSettings, timeout_s: float = 30.0) -> list[str]:
    """Creates the topics that are missing and gives their names; a second call changes nothing.

    Size and retention of existing topics are brought to the settings.

    Raises:
        TopicsError: no broker answers, or a topic exists with another partition count.
    """
    admin = admin_client(settings)
    specs = topic_specs(settings)
    try:
        existing = _partition_counts(admin, timeout_s)
        for spec in specs:
            found = existing.get(spec.name, spec.partitions)
            if found != spec.partitions:
                raise TopicsError(
                    f"topic {spec.name} has {found} partitions where the settings ask for "
                    f"{spec.partitions}; set streams.partitions to {found} or delete the topic"
                )
        missing = [spec for spec in specs if spec.name not in existing]
        _create(admin, settings, missing, timeout_s)
        _configure(admin, [spec for spec in specs if spec.name in existing], timeout_s)
        _wait_until_usable(settings, [spec.name for spec in missing], timeout_s)
    except KafkaException as error:
        raise _unreachable(settings, error) from None
    return [spec.name for spec in missing]


def cluster_identity(
    settings: StreamsSettings, timeout_s: float = 30.0
) -> tuple[str, dict[str, str]]:
    """The cluster's id, and the id of each of our topics: what offsets are relative to.

    Raises:
        TopicsError: no broker answers, or a topic does not exist.
    """
    admin = admin_client(settings)
    names = [spec.name for spec in topic_specs(settings)]
    try:
        cluster = admin.describe_cluster(request_timeout=timeout_s).result(timeout_s)
        described = admin.describe_topics(TopicCollection(names), request_timeout=timeout_s)
    except KafkaException as error:
        raise _unreachable(settings, error) from None
    topic_ids: dict[str, str] = {}
    for name, future in described.items():
        try:
            topic_ids[settings.from_kafka(name)] = str(future.result(timeout_s).topic_id)
        except KafkaException as error:
            raise TopicsError(
                f"topic {name} cannot be described ({error.args[0].str()}); "
                "create the topics with `listune up`"
            ) from None
    return str(cluster.cluster_id), topic_ids


def log_bounds(
    settings: StreamsSettings,
    topics: Iterable[str],
    timeout_s: float = 30.0,
    admin: AdminClient | None = None,
) -> dict[tuple[str, int], tuple[int, int]]:
    """First offset kept and next offset written, of each (topic, partition) of `topics`.

    Who asks often gives its own `admin`, which keeps its connection.

    Raises:
        TopicsError: no broker answers, or a topic does not exist.
    """
    admin = admin or admin_client(settings)
    names, end = tuple(topics), time.monotonic() + timeout_s
    while True:
        try:
            return _bounds(admin, settings, names, timeout_s)
        except KafkaException as error:
            # A topic just made has its leaders a moment later than its name.
            if time.monotonic() > end:
                raise _unreachable(settings, error) from None
            time.sleep(0.1)


def _bounds(
    admin: AdminClient, settings: StreamsSettings, names: tuple[str, ...], timeout_s: float
) -> dict[tuple[str, int], tuple[int, int]]:
    known = admin.list_topics(timeout=timeout_s).topics
    topics = [settings.in_kafka(name) for name in names]
    missing = [topic for topic in topics if topic not in known]
    if missing:
        raise TopicsError(f"there is no topic {missing[0]}; create the topics with `listune up`")
    places = [TopicPartition(topic, p) for topic in topics for p in known[topic].partitions]
    asked = [
        admin.list_offsets(dict.fromkeys(places, spec), request_timeout=timeout_s)
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
    ]
    starts, ends = (
        {
            (settings.from_kafka(p.topic), p.partition): future.result(timeout_s).offset
            for p, future in one.items()
        }
        for one in asked
    )
    if any(offset < 0 for offset in (*starts.values(), *ends.values())):
        # What a broker leaves open that dies over the question is -1001, and names no error.
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))
    return {place: (starts[place], ends[place]) for place in starts}


def _partition_counts(admin: AdminClient, timeout_s: float) -> dict[str, int]:
    topics = admin.list_topics(timeout=timeout_s).topics
    return {name: len(topic.partitions) for name, topic in topics.items()}


def _create(
    admin: AdminClient, settings: StreamsSettings, specs: list[TopicSpec], timeout_s: float
) -> None:
    if not specs:
        return
    new = [
        NewTopic(spec.name, spec.partitions, settings.replication, config=dict(spec.config))
        for spec in specs
    ]
    for future in admin.create_topics(new, operation_timeout=timeout_s).values():
        try:
            future.result(timeout_s)
        except KafkaException as error:
            # Another process may create the same topics at the same moment.
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise


def _configure(admin: AdminClient, specs: list[TopicSpec], timeout_s: float) -> None:
    if not specs:
        return
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            spec.name,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in spec.config.items()
            ],
        )
        for spec in specs
    ]
    for future in admin.incremental_alter_configs(resources).values():
        future.result(timeout_s)


def _wait_until_usable(settings: StreamsSettings, names: list[str], timeout_s: float) -> None:
    """Creation is confirmed before metadata and leaders are there; a client may come too early."""
    end = time.monotonic() + timeout_s
    while names:
        try:
            log_bounds(settings, map(settings.from_kafka, names), timeout_s)
            return
        except TopicsError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def _unreachable(settings: StreamsSettings, error: KafkaException) -> TopicsError:
    return TopicsError(
        f"no Kafka answers at {settings.bootstrap_servers} ({error.args[0].str()}); "
        "start the stack with `listune up` or set streams.bootstrap_servers"
    )
