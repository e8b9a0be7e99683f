"""The curate app: requests, predictions and reviews into the pool, and the pool's decisions out.

This module is the Faust side. Of all curate workers of a group one has the partitions
(`streams.curate.one_worker`); it opens the pool and works (`streams.curate.pool_worker`). The
others stand by, and need a pool folder of their own. When Kafka has not heard from the worker for a
session's time, the next one is given the partitions: it begins with its own file or with the last
copy in `snapshot_dir`, whichever is further, and reads the rest from the topics.

A worker that loses the partitions ends, and stands by when it is started again; so does one that
was stopped for longer than its session. It may wake up and not know yet that it has lost them:
before it publishes what it decided it commits, which the broker refuses from whoever is out of the
group.
"""

import asyncio
import logging
import time
from typing import Any

from schemas.topic_names import KINDS
from serving.pictures.store import PictureStore
from serving.process.health import Health
from serving.process.ready import clear_ready, tell_ready
from streams import metrics
from streams.curate.decoding import Decoder
from streams.curate.one_worker import OneWorker
from streams.curate.pool_worker import PoolWorker, Surroundings
from streams.errors import WorkerReplaced
from streams.kafka.partitions import Partition
from streams.kafka.publisher import Publisher
from streams.kafka.topics import admin_client
from streams.settings import StreamsSettings
from streams.worker import faust_app
from streams.worker.parcels import BUFFERED, Parcels
from streams.worker.schema_file import SchemaFile
from streams.worker.watchdog import Watchdog

log = logging.getLogger(__name__)

GROUP = "listune.curate"
LOOK_S = 0.5
_REPLACED = (
    "another curate worker has the partitions, or may have them by now; this one ends, and is to "
    "be started again"
)


class CurateApp:
    """One curate worker: its Faust app, and a `PoolWorker` once it has the partitions."""

    def __init__(
        self,
        settings: StreamsSettings,
        schema_file: SchemaFile,
        worker: str,
        health: Health,
        pictures: PictureStore | None = None,
    ) -> None:
        self._settings = settings
        self._schema_file = schema_file
        self._health = health
        self.app = faust_app.make_app(settings, GROUP, worker, BUFFERED, Parcels, OneWorker)
        self._around = Surroundings(
            settings,
            self.app,
            Publisher(settings, client_id=f"{GROUP}.{worker}"),
            admin_client(settings),
            schema_file,
            Decoder(schema_file.schemas, settings.max_event_bytes),
            pictures,
        )
        self._opening: asyncio.Task[PoolWorker] | None = None
        self._worker: PoolWorker | None = None
        self._standing_by = False
        self._watchdog = Watchdog(settings, health, KINDS, self._positions)
        self._wire()

    def _wire(self) -> None:
        async def gather(stream: Any) -> None:
            async for event in stream.events():
                assert self._opening is not None  # who has no partitions is sent no records
                worker = await self._opening
                await worker.intake.queue.put(event.message.value)

        async def assigned(*sent: Any, **_: Any) -> None:
            _, partitions = sent
            if partitions:
                self._take()
            else:
                self._stand_by()

        payload = faust_app.raw_topic(self.app, self._settings, *KINDS)
        self.app.agent(payload, name="listings")(gather)
        self.app.on_partitions_assigned.connect(assigned, weak=False)
        self.app.task(self._look)
        self.app.task(self._follow_schemas)
        self.app.task(self._watchdog.pulse)
        metrics.IN_FLIGHT.set_function(lambda: self._worker.in_flight() if self._worker else 0)

    async def _follow_schemas(self) -> None:
        """The worker takes changed schemas over itself, between two micro-batches."""
        await self._schema_file.follow()

    def _take(self) -> None:
        """Opens the pool, unless a rebalance left the partitions where they were."""
        self._standing_by = False
        if self._opening is None:
            self._opening = asyncio.ensure_future(PoolWorker.open(self._around))
            faust_app.spawn(self._work(self._opening))

    async def _work(self, opening: asyncio.Task[PoolWorker]) -> None:
        self._worker = await opening
        await self._worker.run()

    def _stand_by(self) -> None:
        if self._opening is not None:
            faust_app.crash(WorkerReplaced(_REPLACED))
        if not self._standing_by:
            log.info("standing by: another curate worker has the partitions")
        self._standing_by = True

    def _end_if_replaced(self, asleep_s: float) -> None:
        """A process that was stopped for a session's time may have lost the partitions."""
        if self._opening is not None and asleep_s > faust_app.SESSION_S + LOOK_S:
            faust_app.crash(WorkerReplaced(_REPLACED))

    async def _look(self) -> None:
        """Tells how the worker is; one that stands by is as ready as it can be."""
        ready, looked_at = False, time.monotonic()
        while True:
            self._end_if_replaced(time.monotonic() - looked_at)
            looked_at = time.monotonic()
            if not ready and (self._standing_by or (self._worker and self._worker.ready)):
                ready = True
                tell_ready()
                self._health.tell_ready()
            await asyncio.sleep(LOOK_S)

    def _positions(self) -> dict[Partition, int]:
        """Where the pool is in the partitions that this worker has."""
        if self._worker is None:
            return {}
        mine = faust_app.assignment(self.app, self._settings)
        return {place: at for place, at in self._worker.positions().items() if place in mine}


def main(settings: StreamsSettings, worker: str = "1", pictures: str | None = None) -> None:
    """Runs the curate worker until SIGTERM; `worker` is its name, unlike any other curate's.

    `pictures` is where predict workers keep what they see (`serving.looking.store`), from which
    those of forgotten listings are removed; None: they keep nothing.

    The process ends with this call: code 0 after a signal, 1 after a failure, `REFUSED_CODE` where
    pool and topics disagree.
    """
    clear_ready()
    try:
        health = Health()
        health.serve(settings.curate_health_port)
        schema_file = SchemaFile(settings.schema_path, settings.schema_look_s)
        store = None if pictures is None else PictureStore(pictures)
        app = CurateApp(settings, schema_file, worker, health, store).app
    except Exception as error:
        faust_app.crash(error)
    faust_app.run(app)
