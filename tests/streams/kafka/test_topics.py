"""Topics are created once, as the settings ask, and all writers agree on partitions."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import OFFSET_INVALID
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from schemas.topic_names import (
    CONTROL_TOPICS,
    DEAD_LETTERS,
    FORGOTTEN,
    MODEL_EVENTS,
    PAYLOAD_TOPICS,
    REQUESTS,
    REVIEWS,
)
from streams.errors import TopicsError
from streams.kafka.publisher import Publisher
from streams.kafka.topics import (
    admin_client,
    cluster_identity,
    ensure_topics,
    log_bounds,
    stamped_by_producers,
    topic_specs,
)
from streams.settings import StreamsSettings
from tests.streams.support import read_all


def topic_config(settings: StreamsSettings, topic: str) -> dict[str, str]:
    admin = admin_client(settings)
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)])
    return {name: entry.value for name, entry in next(iter(asked.values())).result(10).items()}


def test_payload_topics_have_equal_partitions_and_control_topics_one(
    settings: StreamsSettings,
) -> None:
    admin = admin_client(settings)
    topics = admin.list_topics(timeout=10).topics
    counts = {spec.name: len(topics[spec.name].partitions) for spec in topic_specs(settings)}
    assert {counts[name] for name in PAYLOAD_TOPICS} == {settings.partitions}
    assert {counts[name] for name in CONTROL_TOPICS} == {1}


def test_only_model_events_and_what_is_forgotten_are_compacted(settings: StreamsSettings) -> None:
    assert topic_config(settings, MODEL_EVENTS)["cleanup.policy"] == "compact"
    assert topic_config(settings, FORGOTTEN)["cleanup.policy"] == "compact"
    assert topic_config(settings, REQUESTS)["cleanup.policy"] == "delete"


def test_no_payload_outlives_its_retention_by_more_than_a_twenty_fourth(
    settings: StreamsSettings,
) -> None:
    for topic in (*PAYLOAD_TOPICS, DEAD_LETTERS):
        config = topic_config(settings, topic)
        assert int(config["retention.ms"]) == settings.retention_hours * 3_600_000
        assert int(config["segment.ms"]) * 24 == int(config["retention.ms"])


def test_creating_topics_again_changes_nothing_but_what_the_settings_changed(
    settings: StreamsSettings,
) -> None:
    identity = cluster_identity(settings)
    assert ensure_topics(settings) == []
    assert cluster_identity(settings) == identity
    ensure_topics(settings.model_copy(update={"max_event_bytes": 100_000}))
    assert topic_config(settings, REQUESTS)["max.message.bytes"] == "200000"


def test_the_broker_stamps_records_also_of_topics_that_somebody_else_made(
    settings: StreamsSettings,
) -> None:
    assert topic_config(settings, REVIEWS)["message.timestamp.type"] == "LogAppendTime"
    assert stamped_by_producers(settings, PAYLOAD_TOPICS) == []
    set_config(settings, REVIEWS, "message.timestamp.type", "CreateTime")
    assert stamped_by_producers(settings, PAYLOAD_TOPICS) == [REVIEWS]
    ensure_topics(settings)
    assert stamped_by_producers(settings, PAYLOAD_TOPICS) == []


def set_config(settings: StreamsSettings, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = admin_client(settings)
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(10)


def test_another_partition_count_is_one_sentence(settings: StreamsSettings) -> None:
    with pytest.raises(TopicsError, match=r"has 4 partitions where the settings ask for 5; set"):
        ensure_topics(settings.model_copy(update={"partitions": 5}))


@pytest.mark.slow
def test_no_broker_is_one_sentence() -> None:
    nowhere = StreamsSettings(bootstrap_servers="127.0.0.1:1")
    with pytest.raises(TopicsError, match=r"no Kafka answers at 127\.0\.0\.1:1"):
        ensure_topics(nowhere, timeout_s=1)


def test_our_writers_and_the_java_partitioner_agree(settings: StreamsSettings) -> None:
    publisher = Publisher(settings)
    keys = [f"listing-{n}" for n in range(200)] + ["ünï-çødé", "x" * 200]
    for key in keys:
        publisher.send(REQUESTS, key, b"{}")
    publisher.flush(10)
    publisher.close()
    partitions = list(range(settings.partitions))
    expected = {key: DefaultPartitioner()(key.encode(), partitions, partitions) for key in keys}
    found = {key.decode(): partition for partition, _, key, _ in read_all(settings, REQUESTS)}
    assert found == expected
    assert set(found.values()) == set(partitions)


def test_a_broker_that_dies_over_the_question_where_the_log_ends_is_asked_again(
    settings: StreamsSettings,
) -> None:
    """Its answer is -1001 and no error; taken for an end, the pool would be ahead of the log."""
    admin = admin_client(settings)
    dying = DyingBroker(admin)
    known = log_bounds(settings, [REQUESTS], admin=admin)
    assert log_bounds(settings, [REQUESTS], admin=dying) == known  # type: ignore[arg-type]
    assert dying.asked > 2
    dying.asked = -1_000_000
    with pytest.raises(TopicsError, match="no Kafka answers"):
        log_bounds(settings, [REQUESTS], 0.5, dying)  # type: ignore[arg-type]


class DyingBroker:
    """An admin client whose first answers are what librdkafka gives when the broker dies."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self.asked = 0

    def list_topics(self, **how: Any) -> Any:
        return self._admin.list_topics(**how)

    def list_offsets(self, specs: dict[Any, Any], **how: Any) -> dict[Any, Future[Any]]:
        self.asked += 1
        if self.asked > 2:
            return self._admin.list_offsets(specs, **how)
        answers: dict[Any, Future[Any]] = {place: Future() for place in specs}
        for answer in answers.values():
            answer.set_result(SimpleNamespace(offset=OFFSET_INVALID))
        return answers
