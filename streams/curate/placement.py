"""Whether records lie in the partitions of their keys: a foreign producer may choose otherwise.

Our writers, Java's and aiokafka's clients choose a partition by murmur2 of the key. librdkafka's
own default is CRC32, and then a listing's history lies in several partitions. That is no fault that
the pool suffers from: what is first and last there is said by the broker's time. But records of one
listing are then read side by side and not one after the other, so it is counted and told.

murmur2 in pure Python takes 6 to 9 us a key, some 5 % of all that the worker does for a record. So
not every one is looked at: the first `ALL` of each partition after a start, then one in `EVERY`,
which takes 0.1 us a record. A producer with another partitioner puts nearly all of its records
elsewhere; it is seen soon.
"""

import logging
from collections.abc import Sequence
from typing import Any

from streams import metrics
from streams.kafka.partitions import Partition
from streams.kafka.topics import PARTITIONER, partition_of_key

ALL = 1000
EVERY = 64

log = logging.getLogger(__name__)


class Placement:
    """Looks at the records of a worker; counts those misplaced, and tells of each topic once."""

    def __init__(self, partitions: int) -> None:
        """`partitions`: how many each payload topic has."""
        self._partitions = partitions
        self._passed: dict[Partition, int] = {}
        self._told: set[str] = set()

    def look(self, place: Partition, records: Sequence[Any]) -> None:
        """At some of the `records` that came from `place`; those without a key lie anywhere."""
        passed = self._passed.get(place, 0)
        self._passed[place] = passed + len(records)
        topic, partition = place
        for record in records if passed < ALL else records[-passed % EVERY :: EVERY]:
            if record.key is None:
                continue
            its_own = partition_of_key(record.key, self._partitions)
            if its_own != partition:
                metrics.MISPLACED.labels(topic).inc()
                self._tell(topic, partition, record, its_own)

    def _tell(self, topic: str, partition: int, record: Any, its_own: int) -> None:
        if topic in self._told:
            return
        self._told.add(topic)
        log.warning(
            "%s[%d], offset %d: the key %.60r belongs in partition %d; its producer chooses "
            "partitions otherwise than all others: set partitioner=%s there",
            topic, partition, record.offset, record.key, its_own, PARTITIONER,
        )  # fmt: skip
