"""Whether a pool and the topics belong together: pure comparisons, a sentence for each refusal.

A watermark is an offset: it means something only on the cluster and the topics that the pool read,
and only within what the log holds now.
"""

from collections.abc import Mapping
from pathlib import Path

from streams.kafka.partitions import Partition
from streams.pool.errors import PoolRefused

Bounds = tuple[int, int]
"""First offset that the log keeps of a partition, and the next one to be written."""


def check_origin(
    known: Mapping[str, str], cluster_id: str, topic_ids: Mapping[str, str], path: Path
) -> None:
    """Compares what the pool `path` remembers of its origin with the Kafka that is there.

    Raises:
        PoolRefused: another cluster, or a topic that was deleted and made again.
    """
    if known.get("cluster_id", cluster_id) != cluster_id:
        raise PoolRefused(
            f"the pool {path} belongs to Kafka cluster {known['cluster_id']}, not to "
            f"{cluster_id}; connect to its own cluster, or move the file away to start anew"
        )
    for topic, topic_id in topic_ids.items():
        if known.get(f"topic:{topic}", topic_id) != topic_id:
            raise PoolRefused(
                f"topic {topic} was deleted and made again since the pool {path} read it; "
                "move the pool file away, so that it is rebuilt from the topics"
            )


def check_bounds(
    watermarks: Mapping[Partition, int], bounds: Mapping[Partition, Bounds], path: Path
) -> None:
    """Compares the next offset that the pool `path` expects of each partition with the log.

    Partitions without a watermark were never begun, and begin wherever the log begins.

    Raises:
        PoolRefused: the pool is ahead of the log, or records were deleted before it read them.
    """
    check_not_ahead(watermarks, bounds, path)
    for (topic, partition), (expected, start) in deleted(watermarks, bounds).items():
        raise PoolRefused(
            f"records {expected} to {start - 1} of {topic}[{partition}] were deleted before the "
            f"pool {path} read them; go on without them by `listune replay --accept-deleted`, "
            "or rebuild the pool from what is left by `listune replay --swap`, "
            "and raise streams.retention_hours above the longest stop"
        )


def check_not_ahead(
    watermarks: Mapping[Partition, int], bounds: Mapping[Partition, Bounds], path: Path
) -> None:
    """The half of `check_bounds` that can come true only if the log was cut back.

    Raises:
        PoolRefused: the pool has read records that the log does not have.
    """
    for (topic, partition), expected in watermarks.items():
        _, end = bounds.get((topic, partition), (0, 0))
        if expected > end:
            raise PoolRefused(
                f"the pool {path} has read {topic}[{partition}] up to offset {expected}, but the "
                f"log ends at {end}: it has lost records, as after a restored backup; bring them "
                "back, or rebuild the pool from what the log holds by `listune replay --swap`"
            )


def deleted(
    watermarks: Mapping[Partition, int], bounds: Mapping[Partition, Bounds]
) -> dict[Partition, tuple[int, int]]:
    """Partitions behind retention: the offset expected, and the first one that is still there."""
    return {
        place: (expected, bounds[place][0])
        for place, expected in watermarks.items()
        if place in bounds and expected < bounds[place][0]
    }
