"""What a consumer group has committed, asked without joining it, also through a broker's absence.

By a consumer that is never subscribed, for the admin client's `list_consumer_group_offsets` is not
to be asked while the broker is away (librdkafka 2.16): it gives no answer any more when the broker
is back, or ends the whole process by a failed assertion in `rd_kafka_enq_once_del_source_return`.
"""

from collections.abc import Iterable

from confluent_kafka import KafkaException, TopicPartition

from streams.kafka.clients import reader
from streams.kafka.partitions import Partition
from streams.settings import StreamsSettings


class Committed:
    """The offsets of one group; keeps its connection, and is for one thread at a time."""

    def __init__(self, settings: StreamsSettings, group: str) -> None:
        self._settings = settings
        self._consumer = reader(settings, group)

    def offsets(self, places: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """The next offset that the group will read of each of `places`; 0 where it committed none.

        Raises:
            KafkaException: no broker answers within `timeout_s` seconds.
        """
        wanted = [TopicPartition(self._settings.in_kafka(topic), p) for topic, p in places]
        if not wanted:
            return {}
        found = self._consumer.committed(wanted, timeout_s)
        for one in found:
            if one.error is not None:
                raise KafkaException(one.error)
        of = self._settings.from_kafka
        return {(of(one.topic), one.partition): max(0, one.offset) for one in found}

    def close(self) -> None:
        """Frees the connection."""
        self._consumer.close()
