"""What Faust's consumer fetches: committed records alone, and from where to where they reach.

A log has holes: the markers that end transactions, the records of aborted ones, what compaction
took. A jump between two offsets says nothing by itself: behind it may be such a hole, or records
that Faust dropped in a rebalance, that a seek passed over, that retention deleted. aiokafka knows,
for it asks the broker for what lies from its position on. So each `Stretch` says between which two
positions it lies, and whoever has read up to an offset goes on with a stretch that begins there or
before. One without records is told as well: a partition that ends with a marker is read to its end.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

Records = Sequence[ConsumerRecord[bytes, bytes]]


@dataclass(frozen=True)
class Stretch:
    """All that can be read of a partition from offset `start` up to `stop`, in the order of the
    log; `stop` itself is not in it."""

    place: TP
    start: int
    stop: int
    records: Records

    def parts(self, size: int) -> Iterator["Stretch"]:
        """It in parts of so many records at most."""
        start, left = self.start, self.records
        while len(left) > size:
            stop = left[size - 1].offset + 1
            yield Stretch(self.place, start, stop, left[:size])
            start, left = stop, left[size:]
        yield Stretch(self.place, start, self.stop, left)

    def as_record(self) -> ConsumerRecord[Any, Any]:
        """It as one record, which stands where it ends: what Faust has read then is all of it."""
        return ConsumerRecord(*self.place, self.stop - 1, 0, 0, None, self, None, -1, -1, ())


class OneByOne(DefaultSchedulingStrategy):
    """Delivers each record by itself, and of a hole at the end of what was fetched its stretch."""

    def iterate(self, records: Mapping[TP, Any]) -> Iterator[tuple[TP, Any]]:
        """Records in turns of topics and partitions; `records` are stretches."""
        return super().iterate({tp: list(_one_by_one(of_tp)) for tp, of_tp in records.items()})


def _one_by_one(stretch: Stretch) -> Iterator[ConsumerRecord[Any, Any]]:
    yield from stretch.records
    start = stretch.records[-1].offset + 1 if stretch.records else stretch.start
    if start < stretch.stop:
        yield Stretch(stretch.place, start, stretch.stop, ()).as_record()


class Transport(driver.Transport):
    """Faust's own transport, with a consumer that gives a `Stretch` where Faust's gives a list."""


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> "_Thread":
        return _Thread(self, loop=self.loop, beacon=self.beacon)


Transport.Consumer = _Consumer


class _Thread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust asks for it only where it writes in transactions as well.
        consumer._isolation_level = "read_committed"
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        if not self.consumer.flow_active:
            return {}  # to wait for the assignment then would be to wait for ever
        found = await self._drain(consumer, active_partitions, max_records)
        if found or not timeout or not self.consumer.flow_active:
            return found
        fetcher = consumer._fetcher
        with fetcher._subscriptions.fetch_context():
            waiter = fetcher._create_fetch_waiter()
            done, _ = await asyncio.wait([waiter], timeout=timeout)
        if not done:
            waiter.cancel()
            return {}
        waiter.result()  # raises what the broker does not allow
        return await self._drain(consumer, active_partitions, max_records)

    async def _drain(self, consumer: Any, active: Any, most: int | None) -> dict[Any, Stretch]:
        """What is there already, by partition."""
        if consumer._closed or consumer._fetcher._closed:
            raise ConsumerStoppedError
        subscriptions = consumer._fetcher._subscriptions
        if subscriptions.reassignment_in_progress:
            await subscriptions.wait_for_assignment()
        # Without a time-out nothing is waited for: positions move by this reading alone.
        before = _positions(subscriptions)
        records = await super()._fetch_records(consumer, active, 0, most)
        return {
            tp: Stretch(TP(*tp), before[tp], stop, records.get(tp, ()))
            for tp, stop in _positions(subscriptions).items()
            if tp in before and before[tp] < stop
        }


def _positions(subscriptions: Any) -> dict[Any, int]:
    """The offset to be read next of each partition that has one now."""
    subscription = subscriptions.subscription
    if subscription is None or subscription.assignment is None:
        return {}
    states = {tp: subscription.assignment.state_value(tp) for tp in subscription.assignment.tps}
    return {tp: state.position for tp, state in states.items() if state.has_valid_position}
