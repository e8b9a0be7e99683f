"""The records, from parcels as Faust delivers them to micro-batches for the pool.

    queue   parcels of records, in
    run     passes over what is not next in its partition, has the rest decoded, ahead of `take`
    take    the next micro-batch, out

A record that cannot be used comes with its dead letter. At each moment so much is under way: a
parcel in the queue, parcels for two micro-batches decoded or being so, and the batch that was
taken.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import EventError
from schemas.events import DeadLetter
from streams.curate.decoding import Decoded, Decoder, Parcel
from streams.curate.parcels import PARCEL_RECORDS
from streams.curate.placement import Placement
from streams.kafka.partitions import Partition, Partitions
from streams.pool.store import Record
from streams.settings import StreamsSettings
from streams.worker.dead_letters import to_dead_letter
from streams.worker.faust_app import partition_of
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
        self.queue: asyncio.Queue[Sequence[Any]] = asyncio.Queue(1)
        ahead = max(2, 2 * settings.micro_batch_events // PARCEL_RECORDS)
        self._decoding: asyncio.Queue[asyncio.Task[Batch]] = asyncio.Queue(ahead)

    async def run(self) -> None:
        """Has parcels decoded until it is cancelled."""
        while True:
            parcel = await self.queue.get()
            place = partition_of(self._settings, parcel[0])
            # What is not next was applied before, or waits behind a gap to be sought back to.
            accepted = [one for one in parcel if self._partitions.accept(place, one.offset)]
            if accepted:
                self._placement.look(place, accepted)
                await self._decoding.put(asyncio.create_task(self._decode(place, accepted)))

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

    async def _decode(self, place: Partition, parcel: Sequence[Any]) -> Batch:
        """The parcel's records as rows; of those that have none a dead letter as well."""
        decoded = await self._rows(place, parcel)
        records: list[Record] = []
        letters: list[DeadLetter] = []
        for record, found in zip(parcel, decoded.rows, strict=True):
            row = None if isinstance(found, EventError) else found
            if isinstance(found, EventError):
                position = (*place, record.offset)
                letters.append(to_dead_letter(*position, record.key, record.value, found))
            records.append(Record(*place, record.offset, record.timestamp, row, record.value))
        return Batch(records, letters)

    async def _rows(self, place: Partition, records: Sequence[Any]) -> Decoded:
        raws = [(record.offset, record.timestamp, record.value) for record in records]
        parcel = Parcel(*place, raws)
        decoded = await self._decoder.decode(parcel)
        if decoded.unknown:
            # Sellers may see a change before this worker does; acceptance is counted now or never.
            await asyncio.to_thread(self._schema_file.look)
            if self._decoder.take(self._schema_file.schemas):
                decoded = await self._decoder.decode(parcel)
        return decoded
