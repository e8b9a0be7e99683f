"""The curate app: requests, predictions and reviews into the pool, and the pool's decisions out.

Records are gathered into micro-batches, one DuckDB transaction each, and committed to Kafka after
DuckDB's COMMIT. DuckDB is the truth about what has been read: of each partition exactly the offset
that the pool expects next is accepted, lower ones are passed over, and a partition that does not
deliver what is expected (a gap, a new pool under an old group) is sought back to the watermark.

Whichever worker owns the one partition of `pool.control` is the conductor: after each micro-batch,
and at least each second, it decides (`streams.pool.conductor`) and publishes what it decided:
produce, await delivery, then mark done.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from faust.types import TP

from schemas.category import CategorySchemas
from schemas.errors import EventError
from schemas.events import (
    ListingPrediction,
    ListingRequest,
    ListingReview,
    decode,
    now_ms,
)
from serving.health import Health
from streams import faust_app, metrics
from streams.control import (
    ControlEvent,
    ControlLog,
    ControlRecord,
    PublishedEvents,
)
from streams.dead_letters import bury, to_dead_letter
from streams.errors import TopicsError
from streams.parcels import BUFFERED, Parcels
from streams.places import Place, Places
from streams.pool import figures, outbox
from streams.pool.conductor import Conductor
from streams.pool.origin import check_not_ahead, deleted
from streams.pool.store import OffsetGap, Pool, Record
from streams.publisher import Publisher
from streams.schema_file import SchemaFile
from streams.settings import StreamsSettings
from streams.sql_server import serve_pool
from streams.topics import (
    CONTROL_KINDS,
    KINDS,
    POOL_CONTROL,
    admin_client,
    cluster_identity,
    log_bounds,
)
from streams.watchdog import Watchdog

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

GROUP = "listune.curate"
TICK_S = 1.0
OUTBOX_ROWS = 500
FIGURES_S = 5.0
# Leaves the pool's thread to the records for at least about half of the time.
REMEASURE_PAUSE_S = 0.05
BATCH_BYTES = 8 * 1024 * 1024
"""A micro-batch of larger events ends earlier: decoded, each takes several times its size."""


class CurateApp:
    """One curate worker: its Faust app, the pool on a thread of its own, and the conductor."""

    def __init__(
        self,
        settings: StreamsSettings,
        open_pool: Callable[[], tuple[Pool, Conductor]],
        schema_file: SchemaFile,
        worker: str,
        health: Health,
    ) -> None:
        self._settings = settings
        self._schema_file = schema_file
        self._health = health
        self._publisher = Publisher(settings, client_id=f"{GROUP}.{worker}")
        self._admin = admin_client(settings)
        # A DuckDB connection belongs to one thread, and a long statement must not stop Faust.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pool")
        self._pool, self._conductor = self._thread.submit(open_pool).result()
        self._published = PublishedEvents()
        self._control_records: deque[ControlRecord] = deque()
        self._control = ControlLog(settings, [self._published, self._control_records.append])
        self._control.start()
        self._queue: asyncio.Queue[Sequence[Any]] = asyncio.Queue(1)
        self._places = Places()
        self._watchdog = Watchdog(settings, health, KINDS, self._positions)
        self._ticked_at = self._shown_at = 0.0
        self._assigned = False
        self._ready = False
        self.app = faust_app.make_app(settings, GROUP, worker, BUFFERED, Parcels)
        self._wire()

    def _wire(self) -> None:
        async def gather(stream: Any) -> None:
            async for event in stream.events():
                await self._queue.put(event.message.value)

        async def hold(stream: Any) -> None:
            async for _ in stream:  # nothing is sent there: to own the partition is the point
                pass

        async def assigned(*_: Any, **__: Any) -> None:
            self._assigned = True

        payload = faust_app.raw_topic(self.app, *KINDS)
        self.app.agent(payload, name="listings")(gather)
        self.app.agent(faust_app.raw_topic(self.app, POOL_CONTROL), name="conductor")(hold)
        self.app.on_partitions_assigned.connect(assigned, weak=False)
        self.app.task(self._run)
        self.app.task(self._follow_schemas)
        self.app.task(self._remeasure)
        self.app.task(self._watchdog.pulse)
        metrics.IN_FLIGHT.set_function(self._places.in_flight)

    async def _run(self) -> None:
        try:
            coming = asyncio.ensure_future(self._take())
            while True:
                records = await coming
                # The next are decoded while DuckDB, which needs no interpreter, has these.
                coming = asyncio.ensure_future(self._take())
                await self._step(records)
        except Exception as error:
            faust_app.crash(error)

    async def _step(self, records: Sequence[Record]) -> None:
        if records:
            await self._apply(records)
        await self._apply_control()
        due = time.monotonic() - self._ticked_at >= TICK_S
        if due and self._assigned:
            await self._look_at_ends()
            await self._seek_back()
        if records or due:
            self._ticked_at = time.monotonic()
            await self._conduct()
        if not self._ready and self._assigned and self._control.ready:
            self._ready = True
            faust_app.tell_ready()
            self._health.tell_ready()
        if time.monotonic() - self._shown_at >= FIGURES_S:
            self._shown_at = time.monotonic()
            await self._in_pool(figures.show, self._pool.con, self._settings)

    # ------------------------------------------------------------------------- category schemas

    async def _follow_schemas(self) -> None:
        await self._schema_file.follow(self._take_schemas)

    def _take_schemas(self, schemas: CategorySchemas) -> None:
        """The pool takes them over on its own thread, between two micro-batches."""
        self._thread.submit(self._pool.take_schemas, schemas).result()

    async def _remeasure(self) -> None:
        """Measures outdated listings anew, a few at a time, so that micro-batches come between."""
        try:
            while True:
                left = await self._in_pool(self._pool.remeasure)
                metrics.OUTDATED.set(left)
                await asyncio.sleep(REMEASURE_PAUSE_S if left else TICK_S)
        except Exception as error:
            faust_app.crash(error)

    # ------------------------------------------------------------------------- records to the pool

    async def _take(self) -> list[Record]:
        """The next micro-batch, decoded: `micro_batch_events` and the rest of a parcel.

        Fewer where they are large, or where no more came within `micro_batch_s`.
        """
        batch: list[Record] = []
        size = 0
        end = time.monotonic() + self._settings.micro_batch_s
        while len(batch) < self._settings.micro_batch_events and size < BATCH_BYTES:
            try:
                parcel = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                left_s = end - time.monotonic()
                try:
                    parcel = await asyncio.wait_for(self._queue.get(), max(left_s, 0))
                except TimeoutError:
                    break
            size += sum(len(record.value or b"") for record in parcel)
            with metrics.stage("validate"):
                batch += await self._accept(parcel)
        return batch

    async def _accept(self, parcel: Sequence[Any]) -> list[Record]:
        """The records of a partition that come next in it, decoded."""
        place = (parcel[0].topic, parcel[0].partition)
        await self._next(place)
        accepted: list[Record] = []
        letters = []
        for record in parcel:
            # What is not next was applied before, or waits behind a gap for `_seek_back`.
            if not self._places.accept(place, record.offset):
                continue
            event: ListingRequest | ListingPrediction | ListingReview | None = None
            try:
                event = decode(KINDS[record.topic], record.value, self._settings.max_event_bytes)
            except EventError as error:
                letters.append(self._bury((*place, record.offset), record.key, record.value, error))
            accepted.append(Record(*place, record.offset, record.timestamp, event))
        # Side by side: a flood of dead letters waits for the broker once, not once for each.
        await asyncio.gather(*letters)
        return accepted

    async def _next(self, place: Place) -> int:
        """The offset of `place` that the pool expects next."""
        expected = self._places.expected(place)
        if expected is None:
            expected = await self._in_pool(lambda: self._pool.watermark(*place))
            self._places.expect(place, expected)
        return expected

    async def _apply(self, records: Sequence[Record]) -> None:
        """One transaction, then Kafka is told. After a gap everything is read again."""
        reviews = [one.event for one in records if isinstance(one.event, ListingReview)]
        if not all(map(self._pool.knows, reviews)):
            # Sellers may see a change before this worker does; acceptance is counted now or never.
            await asyncio.to_thread(self._schema_file.look, self._take_schemas)
        try:
            with metrics.stage("apply"):
                await self._in_pool(self._pool.apply_storable, records, self._refuse)
        except OffsetGap as gap:
            log.warning("%s", gap)
            self._places.forget()
            return
        nexts = {(r.topic, r.partition): r.offset + 1 for r in records}
        self._places.applied(nexts)
        for topic, count in Counter(record.topic for record in records).items():
            metrics.EVENTS.labels(topic).inc(count)
        with metrics.stage("commit"):
            await faust_app.commit(self.app, nexts)

    def _refuse(self, record: Record, fault: EventError) -> None:
        """Buries what DuckDB cannot store; on the pool's thread, before its offset is passed."""
        assert record.event is not None
        place = (record.topic, record.partition, record.offset)
        key, payload = record.event.listing_id.encode(), record.event.to_bytes()
        bury(self._publisher, to_dead_letter(*place, key, payload, fault)).result()

    async def _bury(
        self,
        place: tuple[str, int, int],
        key: bytes | None,
        payload: bytes | None,
        error: EventError,
    ) -> None:
        letter = to_dead_letter(*place, key, payload, error)
        await asyncio.wrap_future(bury(self._publisher, letter))

    # ------------------------------------------------------------------------- place in the log

    async def _look_at_ends(self) -> None:
        """Where the log ends now, for the lag, where it begins, and whether it was cut back."""
        assignment = self.app.consumer.assignment()
        assigned = [(tp.topic, tp.partition) for tp in assignment if tp.topic in KINDS]
        # Not by Faust's consumer: there the question waits behind a fetch of up to 1.5 s.
        if not assigned:
            return
        # Asked for before the log's ends, which they cannot be beyond: records come meanwhile.
        expected = {place: await self._next(place) for place in assigned}
        try:
            topics = (*KINDS, *CONTROL_KINDS)
            bounds = await asyncio.to_thread(log_bounds, self._settings, topics, 10, self._admin)
        except (TopicsError, TimeoutError) as error:
            log.warning("%s", error)
            return
        self._places.see_ends({place: bounds[place][1] for place in assigned})
        known = await self._in_pool(self._pool.watermarks)
        control = {place: known[place] for place in known if place[0] in CONTROL_KINDS}
        check_not_ahead(expected | control, bounds, self._pool.path)
        # A partition with records under way is looked at the next time.
        still = {p: at for p, at in self._positions().items() if at == self._places.expected(p)}
        for place, (first, start) in deleted(still, bounds).items():
            await self._skip_deleted(place, first, start)

    def _positions(self) -> dict[Place, int]:
        """Where the pool is in the partitions that this worker has now."""
        mine = {(tp.topic, tp.partition) for tp in self.app.consumer.assignment()}
        return {place: at for place, at in self._places.positions().items() if place in mine}

    async def _skip_deleted(self, place: Place, first: int, start: int) -> None:
        """Retention has overtaken a worker that runs: go on, for to stop would only lose more."""
        log.error(
            "%s[%d]: records %d to %d were deleted before the pool read them; "
            "raise streams.retention_hours",
            *place, first, start - 1,
        )  # fmt: skip
        await self._in_pool(lambda: self._pool.start_at(*place, start))
        self._places.expect(place, start)

    async def _seek_back(self) -> None:
        """Places partitions that do not deliver what the pool expects next at that offset."""
        if not self._queue.empty():
            return
        for place, offset in self._places.stalled().items():
            log.info("%s[%d] is read again from %d", *place, offset)
            await self.app.consumer.seek_wait({TP(*place): offset})

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
                await self._bury(place, record.key, record.payload, record.error)
            positions[record.topic] = record.offset + 1
        if positions:
            await self._in_pool(self._pool.apply_control, events, positions)

    async def _conduct(self) -> None:
        """Decides and publishes, if this worker is the conductor and knows the control log."""
        if not self._control.ready or TP(POOL_CONTROL, 0) not in self.app.consumer.assignment():
            return
        caught_up = self._places.caught_up() and not self._control_records
        await self._in_pool(self._conductor.tick, now_ms(), self._places.lag(), caught_up)
        await self._publish()

    async def _publish(self) -> None:
        """Sends what was decided, in order. Done only after delivery: a crash sends it again."""
        rows = await self._in_pool(outbox.pending, self._pool.con, OUTBOX_ROWS)
        fresh = [row for row in rows if not self._is_published(row)]
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


def main(settings: StreamsSettings, worker: str = "1") -> None:
    """Runs the curate worker until SIGTERM; `worker` is its name, unlike any other curate's.

    The process ends with this call: code 0 after a signal, 1 after a failure, `REFUSED_CODE` where
    pool and topics disagree.
    """
    faust_app.clear_ready()
    try:
        health = Health()
        health.serve(settings.curate_health_port)
        schema_file = SchemaFile(settings.schema_path, settings.schema_look_s)
        cluster_id, topic_ids = cluster_identity(settings)

        def open_pool() -> tuple[Pool, Conductor]:
            pool = Pool(settings, schema_file.schemas, cluster_id, topic_ids)
            pool.join_log(log_bounds(settings, [*KINDS, *CONTROL_KINDS]))
            serve_pool(pool.con, settings)
            return pool, Conductor(pool)

        app = CurateApp(settings, open_pool, schema_file, worker, health).app
    except Exception as error:
        faust_app.crash(error)
    faust_app.run(app)
