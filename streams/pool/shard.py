"""Which partitions a pool file has: all of them, or in a sharded pool a single one.

A listing's whole history lies in equal partitions of the payload topics, so a shard needs none of
another's. Shard n of a sharded pool is partition n; the worker that is given partition n opens it.
Shard 0 has the conductor, which asks the others what they have (`streams.pool.peers`).
"""

from dataclasses import dataclass
from pathlib import Path

from schemas.topic_names import CONTROL_TOPICS
from streams.kafka.places import Place
from streams.pool.errors import PoolRefused
from streams.settings import StreamsSettings


@dataclass(frozen=True)
class Shard:
    """Shard `number` of `count`; one of one is a pool that is not sharded."""

    number: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether the conductor works here."""
        return self.number == 0

    def has(self, place: Place) -> bool:
        """Whether the records of a partition go into this file; control events go into each."""
        topic, partition = place
        return topic in CONTROL_TOPICS or partition % self.count == self.number

    def name(self, pool: str) -> str:
        """What its files are called after: `default`, or of several `default-3`."""
        return pool if self.count == 1 else f"{pool}-{self.number}"

    def path(self, settings: StreamsSettings) -> Path:
        """Its DuckDB file."""
        return settings.pool_dir / f"{self.name(settings.pool)}.duckdb"


WHOLE = Shard()


def shards_of(settings: StreamsSettings) -> list[Shard]:
    """The shards of the pool, first the one that leads."""
    count = settings.partitions if settings.sharded else 1
    return [Shard(number, count) for number in range(count)]


def check_layout(settings: StreamsSettings) -> None:
    """Refuses a pool that was kept the other way: each listing would be in two files.

    Raises:
        PoolRefused: `sharded` was changed; the message says what to do.
    """
    whole, first = WHOLE.path(settings), Shard(0, 2).path(settings)
    own, other = (first, whole) if settings.sharded else (whole, first)
    if other.exists() and not own.exists():
        raise PoolRefused(
            f"the pool {other} was made with streams.sharded = "
            f"{str(not settings.sharded).lower()}; set it back, or move the files of the pool "
            "away, so that they are rebuilt from the topics"
        )
