"""The predict app: `listing.requests` and `listing.backfill` into `listing.predictions`.

For each request it asks Triton (`streams.predict.answering`), writes the prediction to the
partition that the request came from, and commits the request's offset only after the broker has
confirmed the prediction, strictly in offset order. A malformed event becomes a dead letter in the
same way. At most `in_flight` requests are under way, so a slow Triton pauses the reading by itself;
a shadow order is tried beside them, but only while none is.
After a SIGKILL what was not committed is answered again; the first answer in the log is the
canonical one.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import faust
from aiokafka.structs import ConsumerRecord

from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import ListingRequest, Purpose
from schemas.topic_names import BACKFILL, PREDICTIONS, REQUESTS
from schemas.versions import SchemaVersions
from serving.endpoint.arm import EndpointArm
from serving.errors import AdapterError
from serving.pictures.looking import Looker
from serving.process.health import Health
from serving.process.ready import clear_ready, tell_ready
from serving.settings import ServingSettings
from serving.triton.client import TritonClient
from serving.triton.push import ensure_adapter
from streams import metrics
from streams.kafka.committed import Committed
from streams.kafka.control_log import Champion, ControlLog
from streams.kafka.partitions import Partition
from streams.kafka.publisher import Publisher
from streams.predict.answerers import Answerers, EndpointAnswers
from streams.predict.answering import Answerer
from streams.predict.flow import Confirmations, Gate, Lane, Ledger, Slot
from streams.predict.traffic import TrafficLog
from streams.settings import StreamsSettings
from streams.worker import faust_app
from streams.worker.dead_letters import bury, to_dead_letter
from streams.worker.fetching import Stretch
from streams.worker.parcels import Parcels
from streams.worker.schema_file import SchemaFile
from streams.worker.watchdog import KAFKA_S, Watchdog

log = logging.getLogger(__name__)

Record: TypeAlias = ConsumerRecord[bytes, bytes]

GROUP = "listune.predict"
COMMIT_S = 0.5
LINGER_MS = 10
"""Of an answer, which took far longer: the more of them go together, the less each costs the worker
and the broker. librdkafka turns without rest in the last millisecond of each such wait."""
COMPRESSION_LEVEL = 2
"""Of gzip's quick ones the one that packs best: answers go a few at a time, and of these its usual
one takes twice as long for a twentieth less. Batches of hundreds would be a third larger."""
WINDOW_PER_SLOT = 16
"""Requests begun but not committed, per slot, and orders as well: they pile up behind one that
takes long."""
OUTSIDE_WINDOW = 4096
"""As many more where an endpoint answers, or pictures are got: what is slow there must not stop the
reading."""
THREADS = 4
"""For what blocks: a push of an adapter, a look at the schema file."""
STAGES = {Lane.LIVE: "answer", Lane.BACKFILL: "measure_again", Lane.SHADOW: "shadow"}
"""What sellers wait for is measured apart from what nobody waits for."""


class PredictApp:
    """One predict worker: its Faust app and what it needs beside it."""

    def __init__(
        self,
        settings: StreamsSettings,
        answerer: Answerer,
        schema_file: SchemaFile,
        control: ControlLog,
        worker: str,
        health: Health,
        more_window: int = 0,
    ) -> None:
        self._settings = settings
        self._health = health
        self._committed = Committed(settings, GROUP)
        self._answerer = answerer
        self._schema_file = schema_file
        self._control = control
        self._publisher = Publisher(settings, f"{GROUP}.{worker}", LINGER_MS, COMPRESSION_LEVEL)
        self._confirmed = Confirmations()
        self._gate = Gate(settings.in_flight)
        self._ledger = Ledger(WINDOW_PER_SLOT * settings.in_flight + more_window)
        self._assigned = asyncio.Event()
        buffer = 2 * settings.in_flight
        self.app = faust_app.make_app(settings, GROUP, worker, buffer, Parcels)
        self._watchdog = Watchdog(
            settings, health, (REQUESTS, BACKFILL), self._positions, self._waits_for_engine
        )
        self._wire()

    def _wire(self) -> None:
        for lane, topic in ((Lane.LIVE, REQUESTS), (Lane.BACKFILL, BACKFILL)):

            async def take(stream: Any, lane: Lane = lane) -> None:
                async for event in stream.events():
                    await self._begin_all(lane, event.message.value)

            channel = faust_app.raw_topic(self.app, self._settings, topic)
            self.app.agent(channel, name=f"{lane.value}-requests")(take)

        async def revoked(*_: Any, **__: Any) -> None:
            self._ledger.forget()

        async def assigned(*_: Any, **__: Any) -> None:
            self._assigned.set()

        self.app.on_partitions_revoked.connect(revoked, weak=False)
        self.app.on_partitions_assigned.connect(assigned, weak=False)
        self.app.task(self._look_after)
        self.app.task(self._follow_schemas)
        self.app.task(self._watchdog.pulse)
        metrics.IN_FLIGHT.set_function(lambda: len(self._ledger))

    async def _begin_all(self, lane: Lane, parcel: Stretch) -> None:
        """Begins one record after the other; what was revoked meanwhile is another worker's, or
        comes again."""
        place = faust_app.partition_of(self._settings, parcel.place)
        epoch = self._ledger.epoch
        for record in parcel.records:
            await self._begin(lane, place, record)
            if self._ledger.epoch != epoch:
                return
        last = parcel.stop - 1
        ends_with_hole = not parcel.records or parcel.records[-1].offset < last
        if ends_with_hole and await self._ledger.start(place, last):
            self._ledger.done(place, last)  # it is only to be committed

    async def _begin(self, lane: Lane, place: Partition, message: Record) -> None:
        """Waits for a slot, then lets the request run beside the reading."""
        if not await self._ledger.start(place, message.offset):
            return
        taken = metrics.EVENTS.labels(place[0])
        try:
            request = decode(ListingRequest, message.value, self._settings.max_event_bytes)
        except EventError as error:
            taken.inc()
            faust_app.spawn(self._bury(place, message, error))
            return
        if request.purpose is Purpose.SHADOW:
            # It waits beside the reading, so that it holds up no order behind it.
            lane = Lane.SHADOW
        slot = Slot(self._gate, lane)
        if lane is not Lane.SHADOW:
            await slot.acquire()
        taken.inc()
        faust_app.spawn(self._handle(STAGES[lane], slot, place, message, request))

    async def _handle(
        self, stage: str, slot: Slot, place: Partition, message: Record, request: ListingRequest
    ) -> None:
        with metrics.stage(stage):
            prediction = await self._answerer.answer(request, message.timestamp, slot)
        slot.release()
        with metrics.stage("publish"):
            await self._confirmed.wait(
                self._publisher.send(
                    PREDICTIONS, request.listing_key, prediction.to_bytes(), message.partition
                )
            )
        metrics.ANSWERS.labels(prediction.status, prediction.purpose).inc()
        self._ledger.done(place, message.offset)

    async def _bury(self, place: Partition, message: Record, error: EventError) -> None:
        letter = to_dead_letter(*place, message.offset, message.key, message.value, error)
        await self._confirmed.wait(bury(self._publisher, letter))
        self._ledger.done(place, message.offset)

    async def _follow_schemas(self) -> None:
        await self._schema_file.follow(self._answerer.schemas.replace)

    async def _look_after(self) -> None:
        """Commits what is done, tells readiness, and ends the worker if the control log fails."""
        ready = False
        while True:
            await asyncio.sleep(COMMIT_S)
            try:
                self._control.check()
                if commits := self._ledger.take_commits():
                    with metrics.stage("commit"):
                        await faust_app.commit(self.app, self._settings, commits)
            except Exception as error:
                faust_app.crash(error)
            if not ready and self._assigned.is_set():
                ready = True
                tell_ready()
                self._health.tell_ready()

    def _positions(self) -> dict[Partition, int]:
        """What this worker's group has committed, of the partitions that it has."""
        mine = faust_app.assignment(self.app, self._settings)
        places = [place for place in mine if place[0] in (REQUESTS, BACKFILL)]
        return self._committed.offsets(places, KAFKA_S)

    def _waits_for_engine(self, place: Partition) -> bool:
        """Whether Triton, slow or away, is why nothing of `place` is done."""
        held_up = self._gate.crowded() or self._ledger.under_way(place)
        return self._answerer.waiting > 0 and held_up


def main(
    settings: StreamsSettings,
    serving: ServingSettings,
    worker: str = "1",
    endpoint: EndpointAnswers | None = None,
) -> None:
    """Runs a predict worker until SIGTERM; `worker` is its name, unlike any other predict's.

    `endpoint` answers in arms that name it; by default the one that `serving.endpoint` sets, where
    it sets one. The process ends with this call: code 0 after a signal, 1 after a failure.
    """
    clear_ready()
    try:
        if endpoint is None and serving.endpoint.url:
            endpoint = EndpointArm(serving.endpoint, serving.max_trunk_tokens)
        health = Health()
        health.serve(settings.predict_health_port)
        traffic = TrafficLog()
        schema_file = SchemaFile(settings.schema_path, settings.schema_look_s)
        versions = SchemaVersions(schema_file.schemas)

        def show_champion(_: object = None) -> None:
            metrics.show_champion(traffic.now.champion.id, traffic.now.champion.hash)

        show_champion()
        control = ControlLog(settings, [traffic, show_champion])
        control.start()
        # Before it knows the champion it must not answer: the base would speak for it.
        control.wait_ready()
        client = TritonClient(serving)

        def heal(champion: Champion) -> None:
            if champion.uri is None:
                raise AdapterError(
                    f"its promotion named no file of {champion.id}; promote it again or roll back"
                )
            ensure_adapter(client, champion.hash, champion.uri)

        looker = None
        if serving.pictures:
            looker = Looker(
                serving.looking,
                serving.pictures,
                serving.picture_edge,
                tell=metrics.count_picture,
            )
        executor = ThreadPoolExecutor(THREADS, thread_name_prefix="beside")
        answerer = Answerer(
            versions,
            lambda: schema_file.look(versions.replace),
            lambda: traffic.now,
            Answerers(client, heal, executor, endpoint, serving.endpoint.in_flight),
            serving.mode,
            executor,
            looker,
        )
        waits_outside = endpoint is not None or looker is not None
        app: faust.App = PredictApp(
            settings,
            answerer,
            schema_file,
            control,
            worker,
            health,
            OUTSIDE_WINDOW if waits_outside else 0,
        ).app
        if looker is not None:
            faust_app.close_with(app, looker.close)
    except Exception as error:
        faust_app.crash(error)
    faust_app.run(app)
