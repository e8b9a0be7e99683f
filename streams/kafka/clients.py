"""Every consumer of confluent-kafka that this room has; Faust has its own, for the workers' groups.

None of them joins a group or commits: they read partitions that they were assigned by hand, or ask
what a group has committed. What an aborted transaction wrote they do not see.
"""

from collections.abc import Mapping

from confluent_kafka import Consumer, TopicPartition

from streams.kafka.partitions import Partition
from streams.settings import StreamsSettings


def reader(settings: StreamsSettings, group: str, **more: object) -> Consumer:
    """A quiet consumer.

    Args:
        group: who asks, as librdkafka wants a name; of the group that is meant, to ask what it has
            committed.
        more: further settings of librdkafka, such as `auto.offset.reset`.
    """
    return Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "group.id": settings.in_kafka(group),
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "log_level": 2,
            **more,
        }
    )


def in_kafka(settings: StreamsSettings, offsets: Mapping[Partition, int]) -> list[TopicPartition]:
    """Offsets of partitions as such a consumer takes them."""
    return [TopicPartition(settings.in_kafka(topic), p, at) for (topic, p), at in offsets.items()]
