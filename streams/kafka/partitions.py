"""Where the pool stands in each partition, against where the log ends. Plain data, no Kafka.

Of each partition exactly one offset comes next. What lies before it was applied. What lies beyond
it is taken where the log has nothing to read in between: markers of transactions and compaction
leave holes. Else it waits behind a gap; a partition that has records but delivers none expected is
`stalled`.
"""

import time
from collections.abc import Callable, Mapping

Partition = tuple[str, int]
"""Its topic, and its number there."""

STALLED_S = 1.5
"""Records fetched before a seek still arrive after it, so one seek may not do; after this long
without progress the next one is due."""


class Partitions:
    """The next offset expected of each partition, its progress, and its end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._expected: dict[Partition, int] = {}
        self._applied: dict[Partition, int] = {}
        self._moved_at: dict[Partition, float] = {}
        self._ends: dict[Partition, int] = {}
        self._first_ends: dict[Partition, int] = {}

    def expected(self, place: Partition) -> int:
        """The next offset; 0 where nothing came yet."""
        return self._expected.get(place, 0)

    def begin(self, watermarks: Mapping[Partition, int]) -> None:
        """Each partition goes on from the pool's watermark, whatever was accepted beyond it."""
        self._expected.clear()
        for place, offset in watermarks.items():
            self.expect(place, offset)

    def expect(self, place: Partition, offset: int) -> None:
        """Sets the next offset of a partition, up to which all is in the pool."""
        self._expected[place] = self._applied[place] = offset
        self._moved_at[place] = self._clock()

    def accept(self, place: Partition, offset: int, since: int | None = None) -> bool:
        """Whether `offset` comes next; then the one after it does.

        Args:
            since: the log has nothing to read from here up to `offset`; None: that is not known.
        """
        if not (offset if since is None else since) <= self.expected(place) <= offset:
            return False
        self._expected[place] = offset + 1
        self._moved_at[place] = self._clock()
        return True

    def applied(self, nexts: Mapping[Partition, int]) -> None:
        """What was accepted is in the pool, up to the offsets in `nexts`."""
        self._applied |= nexts

    def see_ends(self, ends: Mapping[Partition, int]) -> None:
        """Takes in where the assigned partitions end now."""
        self._ends = dict(ends)
        self._first_ends = self._ends | self._first_ends

    def positions(self) -> dict[Partition, int]:
        """Up to where each partition is in the pool; any thread may ask."""
        return dict(self._applied)

    def in_flight(self) -> int:
        """Offsets accepted that are not in the pool; any thread may ask."""
        applied = self.positions()
        return sum(at - applied.get(place, 0) for place, at in dict(self._expected).items())

    def lag(self) -> int:
        """Records of the log that are not in the pool; holes among them count as well."""
        return sum(max(0, end - self._applied.get(p, 0)) for p, end in self._ends.items())

    def caught_up(self) -> bool:
        """Whether what was in the log at the start has been applied: a replay is over."""
        return bool(self._first_ends) and all(
            self._applied.get(place, 0) >= end for place, end in self._first_ends.items()
        )

    def stalled(self) -> dict[Partition, int]:
        """Partitions to seek, with the offset to seek to; each is due again after `STALLED_S`."""
        now = self._clock()
        due = {
            place: self._expected[place]
            for place, end in self._ends.items()
            if place in self._expected
            and self._expected[place] < end
            and now - self._moved_at[place] >= STALLED_S
        }
        self._moved_at |= dict.fromkeys(due, now)
        return due
