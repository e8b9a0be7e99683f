"""The pool at work: its records into the file, and what it decides out.

Records are gathered into micro-batches, one DuckDB transaction each, and committed to Kafka after
DuckDB's COMMIT. DuckDB is the truth about what has been read: of each partition exactly the record
that the pool expects next is accepted, lower ones are passed over, and a partition that does not
deliver what is expected (a gap, a new pool under an old group) is sought back to the watermark.

After each micro-batch, and at least each second, the conductor decides
(`streams.pool.deciding.conductor`), and what it decided is published: produce, await delivery, then
mark done.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import faust
from confluent_kafka.admin import AdminClient

from schemas.category import CategorySchemas
from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import DeadLetter, now_ms
from schemas.topic_names import CONTROL_KINDS, KINDS, POOL_TOPICS
from serving.pictures.store import PictureStore
from streams import metrics
from streams.curate.decoding import Decoder
from streams.curate.intake import Batch, Intake
from streams.errors import TopicsError
from streams.kafka.control_log import (
    ControlEvent,
    ControlLog,
    ControlRecord,
    PublishedEvents,
)
from streams.kafka.partitions import Partition, Partitions
from streams.kafka.publisher import Publisher
from streams.kafka.topics import cluster_identity, log_bounds, stamped_by_producers
from streams.pool import figures, outbox, snapshot
from streams.pool.deciding.conductor import Conductor
from streams.pool.origin import check_not_ahead, deleted
from streams.pool.store import OffsetGap, Pool, Record
from streams.settings import StreamsSettings
from streams.sql.server import serve_pool
from streams.worker import faust_app
from streams.worker.dead_letters import bury, to_dead_letter
from streams.worker.schema_file import SchemaFile

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

TICK_S = 1.0
OUTBOX_ROWS = 500
FIGURES_S = 5.0


@dataclass(frozen=True)
class Surroundings:
    """What a worker finds around it when it opens the pool."""

    settings: StreamsSettings
    app: faust.App
    publisher: Publisher
    admin: AdminClient
    schema_file: SchemaFile
    decoder: Decoder
    pictures: PictureStore | None


class PoolWorker:
    """Has the pool's file. Made by `open`, and at work from `run` to the end of the process."""

    def __init__(self, around: Surroundings, pool: Pool, thread: ThreadPoolExecutor) -> None:
        """`thread` is the pool's own: a DuckDB connection belongs to one thread, and a long
        statement must not stop Faust."""
        self._settings, self._app = around.settings, around.app
        self._publisher, self._admin = around.publisher, around.admin
        self._schema_file, self._decoder = around.schema_file, around.decoder
        self._pool, self._thread = pool, thread
        self._conductor = Conductor(pool, around.pictures)
        self._schemas: CategorySchemas | None = None
        self._outdated = 0
        self._published = PublishedEvents()
        self._control_records: deque[ControlRecord] = deque()
        self._control = ControlLog(self._settings, [self._published, self._control_records.append])
        self._partitions = Partitions()
        self.intake = Intake(self._settings, self._partitions, self._decoder, self._schema_file)
        self._ticked_at = self._shown_at = 0.0
        self._copied_at = time.monotonic()
        self.ready = False

    @classmethod
    async def open(cls, around: Surroundings) -> "PoolWorker":
        """A worker that has its pool and begins to read the control topics.

        Raises:
            PoolError: as `Pool`; also where another process has the file.
            TopicsError: no broker answers.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="pool")
        loop = asyncio.get_running_loop()
        worker = cls(around, await loop.run_in_executor(thread, _open_pool, around), thread)
        await worker._begin_at_watermarks()
        worker._control.start()
        return worker

    async def run(self) -> None:
        """Works for as long as the process lives."""
        faust_app.spawn(self.intake.run())
        coming = asyncio.ensure_future(self.intake.take())
        while True:
            batch = await coming
            # The next come while DuckDB has these.
            coming = asyncio.ensure_future(self.intake.take())
            await self._step(batch)

    def positions(self) -> dict[Partition, int]:
        """Where the pool is in each partition; any thread may ask."""
        return self._partitions.positions()

    def in_flight(self) -> int:
        """Records taken that are not in the pool; any thread may ask."""
        return self._partitions.in_flight()

    async def _step(self, batch: Batch) -> None:
        # Before the offsets that they stand for are passed; side by side, so that a flood of dead
        # letters waits for the broker once.
        await asyncio.gather(*map(self._bury, batch.letters))
        if batch.records:
            await self._apply(batch.records)
        await self._apply_control()
        await self._measure_anew()
        due = time.monotonic() - self._ticked_at >= TICK_S
        if due:
            await self._look_at_ends()
            await self._seek_back()
        if batch.records or due:
            self._ticked_at = time.monotonic()
            await self._conduct()
        self.ready = self.ready or (self._control.ready and bool(self._assigned()))
        if time.monotonic() - self._copied_at >= 60 * self._settings.snapshot_minutes:
            self._copied_at = time.monotonic()
            await self._in_pool(snapshot.take, self._pool)
        if time.monotonic() - self._shown_at >= FIGURES_S:
            self._shown_at = time.monotonic()
            await self._in_pool(figures.show, self._pool.con, self._settings)

    async def _measure_anew(self) -> None:
        """A few listings that were measured by other schemas, after each micro-batch."""
        await self._take_schemas()
        if self._outdated:
            self._outdated = await self._in_pool(self._pool.remeasure)

    async def _take_schemas(self) -> None:
        """The schemas of the file as it was looked at last."""
        schemas = self._schema_file.schemas
        if schemas is not self._schemas:
            self._decoder.take(schemas)
            await self._in_pool(self._pool.take_schemas, schemas)
            self._schemas, self._outdated = schemas, 1

    # ------------------------------------------------------------------------- records to the pool

    async def _begin_at_watermarks(self) -> None:
        """Reads of each partition what the pool expects next."""
        known = await self._in_pool(self._pool.watermarks)
        self._partitions.begin({place: at for place, at in known.items() if place[0] in KINDS})

    async def _apply(self, records: Sequence[Record]) -> None:
        """One transaction, then Kafka is told. After a gap everything is read again."""
        try:
            with metrics.stage("apply"):
                await self._in_pool(self._pool.apply_storable, records, self._refuse)
        except OffsetGap as gap:
            log.warning("%s", gap)
            await self._begin_at_watermarks()
            return
        nexts = {(r.topic, r.partition): r.offset + 1 for r in records}
        self._partitions.applied(nexts)
        taken = Counter(record.topic for record in records if record.payload is not None)
        for topic, count in taken.items():
            metrics.EVENTS.labels(topic).inc(count)
        with metrics.stage("commit"):
            await faust_app.commit(self._app, self._settings, nexts)

    def _refuse(self, record: Record, fault: EventError) -> None:
        """Buries what DuckDB cannot store; on the pool's thread, before its offset is passed."""
        assert record.row is not None
        place = (record.topic, record.partition, record.offset)
        key = str(record.row["listing_id"]).encode()
        bury(self._publisher, to_dead_letter(*place, key, record.payload, fault)).result()

    async def _bury(self, letter: DeadLetter) -> None:
        await asyncio.wrap_future(bury(self._publisher, letter))

    # ------------------------------------------------------------------------- place in the log

    async def _look_at_ends(self) -> None:
        """Where the log ends now, for the lag, where it begins, and whether it was cut back."""
        assigned = self._assigned()
        # Not by Faust's consumer: there the question waits behind a fetch of up to 1.5 s.
        if not assigned:
            return
        # Asked for before the log's ends, which they cannot be beyond: records come meanwhile.
        expected = {place: self._partitions.expected(place) for place in assigned}
        try:
            bounds = await asyncio.to_thread(
                log_bounds, self._settings, POOL_TOPICS, 10, self._admin
            )
        except (TopicsError, TimeoutError) as error:
            log.warning("%s", error)
            return
        self._partitions.see_ends({place: bounds[place][1] for place in assigned})
        known = await self._in_pool(self._pool.watermarks)
        control = {place: known[place] for place in known if place[0] in CONTROL_KINDS}
        check_not_ahead(expected | control, bounds, self._pool.path)
        # A partition with records under way is looked at the next time.
        still = {p: at for p, at in self.positions().items() if at == self._partitions.expected(p)}
        for place, (first, start) in deleted(still, bounds).items():
            await self._skip_deleted(place, first, start)

    def _assigned(self) -> list[Partition]:
        """The partitions of the payload topics, if this worker has them now."""
        mine = faust_app.assignment(self._app, self._settings)
        return [place for place in mine if place[0] in KINDS]

    async def _skip_deleted(self, place: Partition, first: int, start: int) -> None:
        """Retention has overtaken a worker that runs: go on, for to stop would only lose more."""
        log.error(
            "%s[%d]: records %d to %d were deleted before the pool read them; "
            "raise streams.retention_hours",
            *place, first, start - 1,
        )  # fmt: skip
        await self._in_pool(lambda: self._pool.start_at(*place, start))
        self._partitions.expect(place, start)

    async def _seek_back(self) -> None:
        """Places partitions that do not deliver what the pool expects next at that offset."""
        if not self.intake.queue.empty():
            return
        for place, offset in self._partitions.stalled().items():
            log.info("%s[%d] is read again from %d", *place, offset)
            seek = faust_app.in_kafka(self._settings, {place: offset})
            await self._app.consumer.seek_wait(seek)

    # ------------------------------------------------------------------------- control plane

    async def _apply_control(self) -> None:
        """What the control topics said since the last time, into the pool."""
        self._control.check()
        events: list[ControlEvent] = []
        positions: dict[str, int] = {}
        while self._control_records:
            record = self._control_records.popleft()
            # The log is read from its beginning at each start; the pool has most of it.
            if record.offset < await self._in_pool(self._pool.watermark, record.topic, 0):
                continue
            if record.event is not None:
                events.append(record.event)
            elif record.error is not None:
                place = (record.topic, 0, record.offset)
                await self._bury(to_dead_letter(*place, record.key, record.payload, record.error))
            positions[record.topic] = record.offset + 1
        if positions:
            await self._in_pool(self._pool.apply_control, events, positions)

    async def _conduct(self) -> None:
        """Decides and publishes, if this worker has the partitions and the control log."""
        if not self._control.ready or not self._assigned():
            return
        caught_up = self._partitions.caught_up() and not self._control_records
        await self._in_pool(self._conductor.tick, now_ms(), self._partitions.lag(), caught_up)
        await self._publish()

    async def _publish(self) -> None:
        """Sends what was decided, in order. Done only after delivery: a crash sends it again."""
        rows = await self._in_pool(outbox.pending, self._pool.con, OUTBOX_ROWS)
        fresh = [row for row in rows if not self._is_published(row)]
        if fresh and not await faust_app.commit(self._app, self._settings, self.positions()):
            return  # another worker may decide in this one's place by now
        await asyncio.gather(*(self._send(row.topic, row.key, row.payload) for row in fresh))
        if rows:
            await self._in_pool(outbox.done, self._pool.con, [row.id for row in rows])

    def _is_published(self, row: outbox.OutboxRow) -> bool:
        kind = CONTROL_KINDS.get(row.topic)
        return kind is not None and decode(kind, row.payload) in self._published

    # ------------------------------------------------------------------------- helpers

    async def _send(self, topic: str, key: str, value: bytes) -> None:
        await asyncio.wrap_future(self._publisher.send(topic, key, value))

    async def _in_pool(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` on the pool's own thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))


def _open_pool(around: Surroundings) -> Pool:
    """The pool's file, begun with the last copy where there is none, and served to the sidecar."""
    settings = around.settings
    snapshot.restore(settings)
    pool = Pool(settings, around.schema_file.schemas, *cluster_identity(settings))
    try:
        pool.join_log(log_bounds(settings, POOL_TOPICS))
        serve_pool(pool.con, settings)
        _tell_clocks(settings)
    except BaseException:
        pool.close()
        raise
    return pool


def _tell_clocks(settings: StreamsSettings) -> None:
    """Which topics let producers' clocks decide what is last: they were made by somebody else."""
    for topic in stamped_by_producers(settings, KINDS):
        log.warning(
            "the records of topic %s carry their producers' time, by which the last review of a "
            "listing is found; `listune up` sets message.timestamp.type=LogAppendTime there, or "
            "set it yourself",
            topic,
        )
