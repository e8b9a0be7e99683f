"""A stretch of the log, read once from here to there: no group, no commits, no following."""

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.errors import TopicsError
from streams.kafka.places import Place
from streams.settings import StreamsSettings

Span = Mapping[Place, tuple[int, int]]
"""Of each partition the first offset to read, and the one to stop before."""

BATCH = 1_000
"""A transaction costs something besides its rows, so few are too slow; large events must fit."""
QUIET_S = 60.0
"""A broker that gives nothing for so long, though records are left, is not going to."""


def read_span(settings: StreamsSettings, span: Span) -> Iterator[list[Message]]:
    """The records of `span` in batches, each partition's in offset order.

    Raises:
        TopicsError: retention deletes what is still to be read, or the broker gives nothing.
    """
    left = {place: stop for place, (start, stop) in span.items() if start < stop}
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            # librdkafka wants a name, but with `assign` no group is joined and none commits.
            "group.id": "listune.log-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    try:
        consumer.assign([TopicPartition(*place, span[place][0]) for place in left])
        heard = time.monotonic()
        while left:
            messages = consumer.consume(BATCH, 0.2)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > QUIET_S:
                raise TopicsError(
                    f"Kafka at {settings.bootstrap_servers} gave nothing for {QUIET_S:.0f} s, "
                    "though records are left; see whether the broker is up and try again"
                )
            if batch := [message for message in messages if _counts(message, left)]:
                yield batch
    finally:
        consumer.close()


def _counts(message: Message, left: dict[Place, int]) -> bool:
    """Whether it is a record of the span; what is through is taken out of `left`."""
    place = (str(message.topic()), int(message.partition() or 0))
    if (fault := message.error()) is not None:
        if fault.code() == KafkaError._PARTITION_EOF:
            # Compaction may have removed the last records: the end counts, not a record.
            left.pop(place, None)
            return False
        if fault.code() == KafkaError._AUTO_OFFSET_RESET:
            raise TopicsError(
                f"{place[0]}[{place[1]}]: retention deletes what is still to be read; try again"
            )
        if fault.retriable():
            return False
        raise KafkaException(fault)
    stop = left.get(place)
    if stop is None:
        return False
    offset = int(message.offset() or 0)
    if offset >= stop - 1:
        del left[place]
    return offset < stop
