"""The curate app: requests, predictions and reviews into the pool, and the pool's decisions out.

This module is the Faust side: it hands each record to the shard that has its partition
(`streams.curate.shard_worker`). A pool in one file has one shard and one worker. Of a sharded pool
Faust gives each worker some partitions, the same of every payload topic; the worker opens their
files and closes those of partitions that it no longer has, so that a rebalance moves a shard.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from schemas.topic_names import CONTROL_KINDS, KINDS
from serving.process.health import Health
from serving.process.ready import clear_ready, tell_ready
from streams import metrics
from streams.curate.decoding import Decoder
from streams.curate.parcels import BUFFERED, Parcels
from streams.curate.shard_talk import ShardTalk
from streams.curate.shard_worker import ShardWorker
from streams.kafka.places import Place
from streams.kafka.publisher import Publisher
from streams.kafka.topics import admin_client, cluster_identity, log_bounds
from streams.pool import figures, snapshot
from streams.pool.errors import PoolError, PoolRefused
from streams.pool.shard import WHOLE, Shard, check_layout, shards_of
from streams.pool.store import Pool
from streams.settings import StreamsSettings
from streams.sql.server import serve_pool
from streams.worker import faust_app
from streams.worker.schema_file import SchemaFile
from streams.worker.watchdog import Watchdog

log = logging.getLogger(__name__)

GROUP = "listune.curate"
LOOK_S = 0.5
# A worker that lost a shard closes it in the same rebalance; one that hangs is ended by then.
HANDOVER_S = 60.0

OpenPool = Callable[[Shard], Pool]


class CurateApp:
    """One curate worker: its Faust app, and a `ShardWorker` for each shard that it has."""

    def __init__(
        self,
        settings: StreamsSettings,
        open_pool: OpenPool,
        schema_file: SchemaFile,
        worker: str,
        health: Health,
    ) -> None:
        self._settings = settings
        self._schema_file = schema_file
        self._decoder = Decoder(schema_file.schemas, settings.max_event_bytes)
        self._health = health
        self._open_pool = open_pool
        self._publisher = Publisher(settings, client_id=f"{GROUP}.{worker}")
        self._admin = admin_client(settings)
        self._talk = ShardTalk(settings, self._publisher) if settings.sharded else None
        self._shards: dict[int, ShardWorker] = {}
        self._works: dict[int, asyncio.Task[None]] = {}
        self._count = len(shards_of(settings))
        self._watchdog = Watchdog(settings, health, KINDS, self._positions)
        self._assigned = self._ready = False
        self.app = faust_app.make_app(settings, GROUP, worker, BUFFERED, Parcels)
        if not settings.sharded:
            self._shards[0] = self._make(WHOLE)
            self._shards[0].open()  # before it joins the group, which it would disturb for nothing
        self._wire()

    def _wire(self) -> None:
        async def gather(stream: Any) -> None:
            async for event in stream.events():
                # What arrives of a shard that has moved is read by the worker that has it now.
                if shard := self._shards.get(event.message.partition % self._count):
                    await shard.intake.queue.put(event.message.value)

        async def assigned(*sent: Any, **_: Any) -> None:
            if self._settings.sharded:
                _, partitions = sent
                await self._take({tp.partition for tp in partitions if tp.topic in KINDS})
            self._assigned = True

        payload = faust_app.raw_topic(self.app, *KINDS)
        self.app.agent(payload, name="listings")(gather)
        self.app.on_partitions_assigned.connect(assigned, weak=False)
        if not self._settings.sharded:
            self.app.task(self._begin)
        self.app.task(self._look)
        self.app.task(self._follow_schemas)
        self.app.task(self._watchdog.pulse)
        metrics.IN_FLIGHT.set_function(lambda: sum(s.in_flight() for s in self._having()))

    def _make(self, shard: Shard) -> ShardWorker:
        return ShardWorker(
            self._settings,
            shard,
            self._open_pool,
            self.app,
            self._publisher,
            self._admin,
            self._talk,
            self._schema_file,
            self._decoder,
        )

    async def _follow_schemas(self) -> None:
        """Each shard takes changed schemas over itself, between two micro-batches."""
        await self._schema_file.follow()

    async def _begin(self) -> None:
        faust_app.spawn(self._shards[0].run())

    async def _take(self, mine: set[int]) -> None:
        """Gives back the shards that other workers have now, and takes those that are `mine`."""
        for number in self._shards.keys() - mine:
            log.info("shard %d goes to another worker", number)
            self._shards.pop(number).closing = True
            await self._works.pop(number)
        for number in sorted(mine - self._shards.keys()):
            shard = self._shards[number] = self._make(Shard(number, self._count))
            self._works[number] = faust_app.spawn(self._work(shard))

    async def _work(self, shard: ShardWorker) -> None:
        """Opens the shard's file, which its former worker may still be closing, and works."""
        end = time.monotonic() + HANDOVER_S
        while not shard.closing:
            try:
                await asyncio.to_thread(shard.open)
            except PoolRefused:
                raise
            except PoolError:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.2)
            else:
                log.info("shard %d is open", shard.shard.number)
                return await shard.run()

    async def _look(self) -> None:
        """Tells how the worker is, as the sum of its shards."""
        while True:
            shards = self._having()
            if not self._ready and self._assigned and all(shard.ready for shard in shards):
                self._ready = True
                tell_ready()
                self._health.tell_ready()
            if measured := [shard.figures for shard in shards if shard.figures is not None]:
                figures.show(measured, self._settings)
            await asyncio.sleep(LOOK_S)

    def _having(self) -> list[ShardWorker]:
        return list(self._shards.values())

    def _positions(self) -> dict[Place, int]:
        """Where the pool is in the partitions that this worker has now."""
        mine = {(tp.topic, tp.partition) for tp in self.app.consumer.assignment()}
        known = [place for shard in self._having() for place in shard.positions().items()]
        return {place: at for place, at in known if place in mine}


def main(settings: StreamsSettings, worker: str = "1") -> None:
    """Runs the curate worker until SIGTERM; `worker` is its name, unlike any other curate's.

    The process ends with this call: code 0 after a signal, 1 after a failure, `REFUSED_CODE` where
    pool and topics disagree.
    """
    clear_ready()
    try:
        health = Health()
        health.serve(settings.curate_health_port)
        schema_file = SchemaFile(settings.schema_path, settings.schema_look_s)
        cluster_id, topic_ids = cluster_identity(settings)
        check_layout(settings)

        def open_pool(shard: Shard) -> Pool:
            snapshot.restore(settings, shard)
            pool = Pool(settings, schema_file.schemas, cluster_id, topic_ids, shard)
            try:
                pool.join_log(log_bounds(settings, [*KINDS, *CONTROL_KINDS]))
                serve_pool(pool.con, settings, shard)
            except BaseException:
                pool.close()
                raise
            return pool

        app = CurateApp(settings, open_pool, schema_file, worker, health).app
    except Exception as error:
        faust_app.crash(error)
    faust_app.run(app)
