"""How a worker bounds what is under way and knows what is done. Plain asyncio, no Kafka.

- `Ledger`: which offsets are under way and which are done, so that only a gapless prefix is
  committed.
- `Gate`: a bounded number of slots for two lanes, live first, backfill never starved; and a third
  lane, shadow, that gets out of the way of both.
- `Confirmations`: what another thread finishes, awaited.
"""

import asyncio
from collections import deque
from concurrent.futures import Future
from enum import StrEnum
from typing import TypeVar

from streams.kafka.partitions import Partition

T = TypeVar("T")


class Ledger:
    """The offsets under way of each partition; commits never pass one that is not done."""

    def __init__(self, window: int) -> None:
        """`window`: the most offsets kept at once of a topic, however slow the first of them is.

        Shadow orders take no slot: in one window they would leave no room for sellers' requests.
        """
        self._window = window
        self._open: dict[Partition, dict[int, bool]] = {}
        self._next: dict[Partition, int] = {}
        self._room = asyncio.Event()
        self.epoch = 0
        """Another number once partitions were revoked."""

    async def start(self, place: Partition, offset: int) -> bool:
        """Enters an offset, waiting while the window is full.

        Returns:
            False if it is already there, since Kafka delivered it again after a rebalance, or if
            partitions were revoked while it waited: then it is delivered again, here or elsewhere.
        """
        epoch = self.epoch
        while self._full(place):
            self._room.clear()
            await self._room.wait()
        if self.epoch != epoch:
            # Entered now, it would be committed before what was under way in front of it.
            return False
        offsets = self._open.setdefault(place, {})
        if offset in offsets:
            return False
        offsets[offset] = False
        return True

    def done(self, place: Partition, offset: int) -> None:
        """The effect of `offset` is confirmed. Unknown offsets (forgotten ones) are ignored."""
        offsets = self._open.get(place, {})
        if offset not in offsets:
            return
        offsets[offset] = True
        while offsets and offsets[first := next(iter(offsets))]:
            del offsets[first]
            self._next[place] = first + 1
        self._room.set()

    def forget(self) -> None:
        """All partitions were revoked; what is done from now on belongs to whoever has them."""
        self._open.clear()
        self._next.clear()
        self.epoch += 1
        self._room.set()

    def under_way(self, place: Partition) -> bool:
        """Whether something of this partition is not done, or there is no room to begin it."""
        return bool(self._open.get(place)) or self._full(place)

    def take_commits(self) -> dict[Partition, int]:
        """The next offset of each partition that moved since the last call."""
        moved, self._next = self._next, {}
        return moved

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def _full(self, place: Partition) -> bool:
        # The watchdog's thread asks as well, while partitions may come: hence the copy.
        of_topic = (offsets for (topic, _), offsets in [*self._open.items()] if topic == place[0])
        return sum(map(len, of_topic)) >= self._window


class Lane(StrEnum):
    """Who waits for an answer: a seller, the measuring of gaps, or nobody soon."""

    LIVE = "live"
    BACKFILL = "backfill"
    SHADOW = "shadow"


LIVE_PER_BACKFILL = 9
"""With both lanes waiting, backfill gets one slot after this many live ones: a tenth."""


class Gate:
    """`slots` requests under way at once, of which backfill takes at most half.

    Beside them one of the shadow lane, while nothing else is under way or waits: it takes no slot,
    and is told to give way as soon as something else comes.
    """

    def __init__(self, slots: int) -> None:
        self._slots = self._free = slots
        # Otherwise a seller would find every slot taken by orders that nobody waits for.
        self._free_backfill = max(1, slots // 2)
        self._waiting: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in Lane}
        self._live_in_a_row = 0
        self._shadow: Future[None] | None = None

    async def acquire(self, lane: Lane) -> None:
        """Waits for a slot of this lane, `LIVE` or `BACKFILL`."""
        await self._turn(lane)

    async def acquire_quiet(self) -> Future[None]:
        """Waits until nothing else is under way or waits; released as `Lane.SHADOW`.

        Returns:
            What is done as soon as something else comes: whoever holds it is to give way.
        """
        await self._turn(Lane.SHADOW)
        assert self._shadow is not None
        return self._shadow

    def crowded(self) -> bool:
        """Whether somebody waits for a slot."""
        return bool(self._waiting[Lane.LIVE] or self._waiting[Lane.BACKFILL])

    def release(self, lane: Lane) -> None:
        """Gives a slot back."""
        if lane is Lane.SHADOW:
            self._shadow = None
        else:
            self._free += 1
            self._free_backfill += lane is Lane.BACKFILL
        self._grant()

    async def _turn(self, lane: Lane) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(turn)
        if lane is not Lane.SHADOW and self._shadow is not None and not self._shadow.done():
            self._shadow.set_result(None)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(lane)
            raise

    def _grant(self) -> None:
        while (lane := self._choose()) is not None:
            turn = self._waiting[lane].popleft()
            if turn.done():  # its waiter was cancelled
                continue
            match lane:
                case Lane.SHADOW:
                    self._shadow = Future()
                case Lane.BACKFILL:
                    self._free -= 1
                    self._free_backfill -= 1
                    self._live_in_a_row = 0
                case Lane.LIVE:
                    self._free -= 1
                    self._live_in_a_row += 1
            turn.set_result(None)

    def _choose(self) -> Lane | None:
        waiting = self._waiting
        live, backfill = waiting[Lane.LIVE], waiting[Lane.BACKFILL]
        if self._free:
            may_backfill = backfill and self._free_backfill > 0
            if may_backfill and (not live or self._live_in_a_row >= LIVE_PER_BACKFILL):
                return Lane.BACKFILL
            if live:
                return Lane.LIVE
        quiet = self._free == self._slots and not live and not backfill
        return Lane.SHADOW if waiting[Lane.SHADOW] and quiet and self._shadow is None else None


class Slot:
    """A slot of the gate, which a request may give back and take again."""

    def __init__(self, gate: Gate, lane: Lane) -> None:
        self._gate = gate
        self._lane = lane
        self._held = False
        self.give_way: Future[None] | None = None
        """Of a shadow's slot, while it is held: done as soon as somebody else comes."""

    async def acquire(self) -> None:
        """Waits for it, unless it is held."""
        if not self._held:
            if self._lane is Lane.SHADOW:
                self.give_way = await self._gate.acquire_quiet()
            else:
                await self._gate.acquire(self._lane)
            self._held = True

    def release(self) -> None:
        """Gives it back, if it is held."""
        if self._held:
            self._held = False
            self._gate.release(self._lane)


class Confirmations:
    """What another thread finishes, such as a broker's confirmations, awaited in the event loop.

    `asyncio.wrap_future` wakes the loop for each, by a system call; here it is woken once for all
    that are done by then.
    """

    def __init__(self) -> None:
        self._done: deque[asyncio.Future[None]] = deque()
        self._woken = False

    async def wait(self, work: Future[T]) -> T:
        """The result of `work`, or its exception; always of the same loop."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()

        def done(_: Future[T]) -> None:
            self._done.append(waiter)
            if not self._woken:
                self._woken = True
                loop.call_soon_threadsafe(self._tell)

        work.add_done_callback(done)
        await waiter
        return work.result()

    def _tell(self) -> None:
        # First, so that what is done from now on wakes the loop again.
        self._woken = False
        while self._done:
            waiter = self._done.popleft()
            if not waiter.done():  # else whoever waited was cancelled
                waiter.set_result(None)
