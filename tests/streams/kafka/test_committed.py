"""What a group has committed can be asked for before, while and after the broker is away."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from infra.local.kafka import Kafka
from infra.local.ports import free_port
from infra.local.supervisor import Supervisor
from schemas.topic_names import REQUESTS
from streams.kafka.committed import Committed
from streams.kafka.topics import ensure_topics
from streams.settings import StreamsSettings
from tests.waiting import wait_for

PLACES = [(REQUESTS, 0), (REQUESTS, 1)]
FOUND = {(REQUESTS, 0): 7, (REQUESTS, 1): 0}


def test_offsets_are_known_again_after_a_broker_was_killed(
    kafka_jars: Path, tmp_path: Path
) -> None:
    port = free_port()
    kafka = Kafka(kafka_jars, tmp_path / "data", port, free_port([port]), heap="256m")
    settings = StreamsSettings(bootstrap_servers=kafka.bootstrap)
    with Supervisor([kafka.spec()], tmp_path / "run") as supervisor:
        ensure_topics(settings)
        commit(settings, 7)
        committed = Committed(settings, "a-group")
        assert committed.offsets(PLACES, 10) == FOUND
        supervisor.kill("kafka")
        while not supervisor.restarts("kafka"):
            with pytest.raises(KafkaException):
                committed.offsets(PLACES, 0.2)
        supervisor.wait_ready("kafka")
        # The broker answers before its coordinator has read what the group committed.
        found = wait_for(lambda: committed.offsets(PLACES, 2.0), meanwhile=KafkaException)
        assert found == FOUND
        committed.close()


def commit(settings: StreamsSettings, offset: int) -> None:
    member = Consumer({"bootstrap.servers": settings.bootstrap_servers, "group.id": "a-group"})
    member.commit(offsets=[TopicPartition(REQUESTS, 0, offset)], asynchronous=False)
    member.close()
