"""A stretch of the log, read once from here to there: no group, no commits, no following."""

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message

from streams.errors import TopicsError
from streams.kafka.clients import in_kafka, reader
from streams.kafka.partitions import Partition
from streams.settings import StreamsSettings

Span = Mapping[Partition, tuple[int, int]]
"""Of each partition the first offset to read, and the one to stop before."""

BATCH = 1_000
"""A transaction costs something besides its rows, so few are too slow; large events must fit."""
QUIET_S = 60.0
"""A broker that gives nothing for so long, though records are left, is not going to."""


class LogRecord(NamedTuple):
    """One record, where it lies and when it was written."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    value: bytes | None


def read_span(settings: StreamsSettings, span: Span) -> Iterator[list[LogRecord]]:
    """The records of `span` in batches, each partition's in offset order.

    Raises:
        TopicsError: retention deletes what is still to be read, or the broker gives nothing.
    """
    left = {place: stop for place, (start, stop) in span.items() if start < stop}
    more = {"auto.offset.reset": "error", "enable.partition.eof": True}
    consumer = reader(settings, "listune.log-reader", **more)
    try:
        consumer.assign(in_kafka(settings, {place: span[place][0] for place in left}))
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
            found = [_record(settings, message, left) for message in messages]
            if batch := [record for record in found if record is not None]:
                yield batch
    finally:
        consumer.close()


def _record(
    settings: StreamsSettings, message: Message, left: dict[Partition, int]
) -> LogRecord | None:
    """A record of the span, None for what is none; what is through is taken out of `left`."""
    place = (settings.from_kafka(str(message.topic())), int(message.partition() or 0))
    if (fault := message.error()) is not None:
        if fault.code() == KafkaError._PARTITION_EOF:
            # Compaction may have removed the last records: the end counts, not a record.
            left.pop(place, None)
            return None
        if fault.code() == KafkaError._AUTO_OFFSET_RESET:
            raise TopicsError(
                f"{place[0]}[{place[1]}]: retention deletes what is still to be read; try again"
            )
        if fault.retriable():
            return None
        raise KafkaException(fault)
    stop = left.get(place)
    if stop is None:
        return None
    offset = int(message.offset() or 0)
    if offset >= stop - 1:
        del left[place]
    if offset >= stop:
        return None
    return LogRecord(*place, offset, message.timestamp()[1], message.value())
