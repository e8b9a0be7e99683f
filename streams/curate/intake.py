"""The records, from parcels as Faust delivers them to micro-batches for the pool.

    queue   parcels of records, in: each says from where to where in the log it reaches
    run     passes over what is not next in its partition, has the rest decoded, ahead of `take`
    take    the next micro-batch, out

A record that cannot be used comes with its dead letter. A hole in the log that a parcel ends with
comes as a record without a row, so that it is passed. At each moment so much is under way: a parcel
in the queue, parcels for two micro-batches decoded or being so, and the batch that was taken.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import EventError
from schemas.events import DeadLetter
from streams.curate.decoding import Decoded, Decoder, Parcel
from streams.curate.placement import Placement
from streams.kafka.partitions import Partition, Partitions
from streams.pool.store import Record, hole
from streams.settings import StreamsSettings
from streams.worker.dead_letters import to_dead_letter
from streams.worker.faust_app import partition_of
from streams.worker.fetching import Records, Stretch
from streams.worker.parcels import PARCEL_RECORDS
from streams.worker.schema_file import SchemaFile

BATCH_BYTES = 8 * 1024 * 1024
"""A micro-batch of larger events ends earlier: decoded, each takes several times its size."""


@dataclass(frozen=True)
class Batch:
    """A micro-batch: every record, and the dead letters of those that have no row."""

    records: Sequence[Record]
    letters: Sequence[DeadLetter]


class Intake:
    """Takes the worker's parcels in, and gives its micro-batches out."""

    def __init__(
        self,
        settings: StreamsSettings,
        partitions: Partitions,
        decoder: Decoder,
        schema_file: SchemaFile,
    ) -> None:
        """`partitions` knows what comes next in each partition."""
        self._settings = settings
        self._partitions = partitions
        self._decoder = decoder
        self._schema_file = schema_file
        self._placement = Placement(settings.partitions)
        self.queue: asyncio.Queue[Stretch] = asyncio.Queue(1)
        ahead = max(2, 2 * settings.micro_batch_events // PARCEL_RECORDS)
        self._decoding: asyncio.Queue[asyncio.Task[Batch]] = asyncio.Queue(ahead)

    async def run(self) -> None:
        """Has parcels decoded until it is cancelled."""
        while True:
            parcel = await self.queue.get()
            place = partition_of(self._settings, parcel.place)
            begin = self._partitions.expected(place)
            accepted = self._accept(place, parcel)
            end = self._partitions.expected(place)
            if accepted:
                self._placement.look(place, accepted)
            if begin < end:
                await self._decoding.put(
                    asyncio.create_task(self._decode(place, begin, accepted, end))
                )

    def _accept(self, place: Partition, parcel: Stretch) -> Records:
        """The records that are next, up to the end of the parcel.

        What is not next was applied before, or waits behind a gap to be sought back to.
        """
        accepted, since = [], parcel.start
        for record in parcel.records:
            if self._partitions.accept(place, record.offset, since):
                accepted.append(record)
            since = record.offset + 1
        if since < parcel.stop:
            self._partitions.accept(place, parcel.stop - 1, since)
        return accepted

    async def take(self) -> Batch:
        """The next micro-batch: `micro_batch_events` and the rest of a parcel.

        Fewer where they are large, or where no more came within `micro_batch_s`.
        """
        records: list[Record] = []
        letters: list[DeadLetter] = []
        size = 0
        end = time.monotonic() + self._settings.micro_batch_s
        while len(records) < self._settings.micro_batch_events and size < BATCH_BYTES:
            try:
                decoding = self._decoding.get_nowait()
            except asyncio.QueueEmpty:
                left_s = end - time.monotonic()
                try:
                    decoding = await asyncio.wait_for(self._decoding.get(), max(left_s, 0))
                except TimeoutError:
                    break
            decoded = await decoding
            records += decoded.records
            letters += decoded.letters
            size += sum(len(record.payload or b"") for record in decoded.records)
        return Batch(records, letters)

    async def _decode(self, place: Partition, begin: int, parcel: Records, end: int) -> Batch:
        """The parcel's records as rows, and what else there is of the log from `begin` up to `end`.

        Of those that have no row a dead letter as well.
        """
        rows = (await self._rows(place, parcel)).rows if parcel else []
        records: list[Record] = []
        letters: list[DeadLetter] = []
        since = begin
        for record, found in zip(parcel, rows, strict=True):
            row = None if isinstance(found, EventError) else found
            if isinstance(found, EventError):
                position = (*place, record.offset)
                letters.append(to_dead_letter(*position, record.key, record.value, found))
            at = (record.offset, record.timestamp)
            records.append(Record(*place, *at, row, record.value, since))
            since = record.offset + 1
        if since < end:
            records.append(hole(*place, since, end))
        return Batch(records, letters)

    async def _rows(self, place: Partition, records: Records) -> Decoded:
        raws = [(record.offset, record.timestamp, record.value) for record in records]
        parcel = Parcel(*place, raws)
        decoded = await self._decoder.decode(parcel)
        if decoded.unknown:
            # Sellers may see a change before this worker does; acceptance is counted now or never.
            await asyncio.to_thread(self._schema_file.look)
            if self._decoder.take(self._schema_file.schemas):
                decoded = await self._decoder.decode(parcel)
        return decoded
