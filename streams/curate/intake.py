"""A shard's records, from parcels as Faust delivers them to micro-batches for the pool.

    queue   parcels of records, in
    run     passes over what is not next in its partition, has the rest decoded, ahead of `take`
    take    the next micro-batch, out

A record that cannot be used is a dead letter before its batch is taken. At each moment so much is
under way: a parcel in the queue, parcels for two micro-batches decoded or being so, and the batch
that was taken.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from schemas.errors import EventError
from streams.curate.decoding import Decoded, Decoder, Parcel
from streams.curate.parcels import PARCEL_RECORDS
from streams.kafka.places import Place, Places
from streams.pool.store import Record
from streams.settings import StreamsSettings
from streams.worker.schema_file import SchemaFile

BATCH_BYTES = 8 * 1024 * 1024
"""A micro-batch of larger events ends earlier: decoded, each takes several times its size."""

Bury = Callable[[Place, int, bytes | None, bytes | None, EventError], Awaitable[None]]
"""Writes the dead letter of the record at an offset, with its key and payload."""


class Intake:
    """Takes a shard's parcels in, and gives its micro-batches out."""

    def __init__(
        self,
        settings: StreamsSettings,
        places: Places,
        next_offset: Callable[[Place], Awaitable[int]],
        decoder: Decoder,
        schema_file: SchemaFile,
        bury: Bury,
    ) -> None:
        """`next_offset` makes sure that `places` knows what comes next in a partition."""
        self._settings = settings
        self._places = places
        self._next = next_offset
        self._decoder = decoder
        self._schema_file = schema_file
        self._bury = bury
        self.queue: asyncio.Queue[Sequence[Any]] = asyncio.Queue(1)
        ahead = max(2, 2 * settings.micro_batch_events // PARCEL_RECORDS)
        self._decoding: asyncio.Queue[asyncio.Task[list[Record]]] = asyncio.Queue(ahead)

    async def run(self) -> None:
        """Has parcels decoded until it is cancelled."""
        while True:
            parcel = await self.queue.get()
            place = (parcel[0].topic, parcel[0].partition)
            await self._next(place)
            # What is not next was applied before, or waits behind a gap to be sought back to.
            accepted = [one for one in parcel if self._places.accept(place, one.offset)]
            if accepted:
                await self._decoding.put(asyncio.create_task(self._decode(place, accepted)))

    async def take(self) -> list[Record]:
        """The next micro-batch: `micro_batch_events` and the rest of a parcel.

        Fewer where they are large, or where no more came within `micro_batch_s`.
        """
        batch: list[Record] = []
        size = 0
        end = time.monotonic() + self._settings.micro_batch_s
        while len(batch) < self._settings.micro_batch_events and size < BATCH_BYTES:
            try:
                decoding = self._decoding.get_nowait()
            except asyncio.QueueEmpty:
                left_s = end - time.monotonic()
                try:
                    decoding = await asyncio.wait_for(self._decoding.get(), max(left_s, 0))
                except TimeoutError:
                    break
            records = await decoding
            batch += records
            size += sum(len(record.payload or b"") for record in records)
        return batch

    def close(self) -> None:
        """Lets go who waits to put the next parcel."""
        if not self.queue.empty():
            self.queue.get_nowait()

    async def _decode(self, place: Place, parcel: Sequence[Any]) -> list[Record]:
        """The parcel's records as rows; of those that have none the dead letter is written."""
        decoded = await self._rows(place, parcel)
        records: list[Record] = []
        letters = []
        for record, found in zip(parcel, decoded.rows, strict=True):
            row = None if isinstance(found, EventError) else found
            if isinstance(found, EventError):
                letters.append(self._bury(place, record.offset, record.key, record.value, found))
            records.append(Record(*place, record.offset, record.timestamp, row, record.value))
        # Side by side: a flood of dead letters waits for the broker once, not once for each.
        await asyncio.gather(*letters)
        return records

    async def _rows(self, place: Place, records: Sequence[Any]) -> Decoded:
        raws = [(record.offset, record.timestamp, record.value) for record in records]
        parcel = Parcel(*place, raws)
        decoded = await self._decoder.decode(parcel)
        if decoded.unknown:
            # Sellers may see a change before this worker does; acceptance is counted now or never.
            await asyncio.to_thread(self._schema_file.look)
            if self._decoder.take(self._schema_file.schemas):
                decoded = await self._decoder.decode(parcel)
        return decoded
