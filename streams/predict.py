"""The predict app: `listing.requests` and `listing.backfill` into `listing.predictions`.

For each request it asks Triton (`streams.answering`), writes the prediction to the partition that
the request came from, and commits the request's offset only after the broker has confirmed the
prediction, strictly in offset order. A malformed event becomes a dead letter in the same way. At
most `in_flight` requests are under way, so a slow Triton pauses the reading by itself. After a
SIGKILL what was not committed is answered again; the first answer in the log is the canonical one.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faust

from schemas.errors import EventError
from schemas.events import ListingRequest, decode
from schemas.sources.json_schema import read_schemas
from serving.client import TritonClient
from serving.errors import AdapterError
from serving.push import ensure_adapter
from serving.settings import ServingSettings
from streams import faust_app
from streams.answering import Answerer
from streams.control import Champion, ChampionAlias, ControlLog
from streams.dead_letters import bury, to_dead_letter
from streams.flow import Gate, Lane, Ledger
from streams.publisher import Publisher
from streams.settings import StreamsSettings
from streams.topics import BACKFILL, PREDICTIONS, REQUESTS

log = logging.getLogger(__name__)

GROUP = "listune.predict"
COMMIT_S = 0.5
WINDOW_PER_SLOT = 16
"""Requests begun but not committed, per slot: they pile up behind one that takes long."""


class PredictApp:
    """One predict worker: its Faust app and what it needs beside it."""

    def __init__(
        self,
        settings: StreamsSettings,
        answerer: Answerer,
        control: ControlLog,
        worker: str,
    ) -> None:
        self._settings = settings
        self._answerer = answerer
        self._control = control
        self._publisher = Publisher(settings, client_id=f"{GROUP}.{worker}")
        self._gate = Gate(settings.in_flight)
        self._ledger = Ledger(WINDOW_PER_SLOT * settings.in_flight)
        self._assigned = asyncio.Event()
        self.app = faust_app.make_app(settings, GROUP, worker, buffer=2 * settings.in_flight)
        self._wire()

    def _wire(self) -> None:
        for lane, topic in ((Lane.LIVE, REQUESTS), (Lane.BACKFILL, BACKFILL)):

            async def take(stream: Any, lane: Lane = lane) -> None:
                async for event in stream.events():
                    await self._begin(lane, event.message)

            self.app.agent(faust_app.raw_topic(self.app, topic), name=f"{lane.value}-requests")(
                take
            )

        async def revoked(*_: Any, **__: Any) -> None:
            await self._ledger.forget()

        async def assigned(*_: Any, **__: Any) -> None:
            self._assigned.set()

        self.app.on_partitions_revoked.connect(revoked, weak=False)
        self.app.on_partitions_assigned.connect(assigned, weak=False)
        self.app.task(self._look_after)

    async def _begin(self, lane: Lane, message: Any) -> None:
        """Waits for a slot, then lets the request run beside the reading."""
        if await self._ledger.start((message.topic, message.partition), message.offset):
            await self._gate.acquire(lane)
            faust_app.spawn(self._handle(lane, message))

    async def _handle(self, lane: Lane, message: Any) -> None:
        try:
            request = decode(ListingRequest, message.value, self._settings.max_event_bytes)
        except EventError as error:
            place = (message.topic, message.partition, message.offset)
            letter = to_dead_letter(*place, message.key, message.value, error)
            await asyncio.wrap_future(bury(self._publisher, letter))
        else:
            prediction = await self._answerer.answer(request)
            await asyncio.wrap_future(
                self._publisher.send(
                    PREDICTIONS, request.listing_id, prediction.to_bytes(), message.partition
                )
            )
        self._gate.release(lane)
        await self._ledger.done((message.topic, message.partition), message.offset)

    async def _look_after(self) -> None:
        """Commits what is done, tells readiness, and ends the worker if the control log fails."""
        ready = False
        while True:
            await asyncio.sleep(COMMIT_S)
            try:
                self._control.check()
                await faust_app.commit(self.app, self._ledger.take_commits())
            except Exception as error:
                faust_app.crash(error)
            if not ready and self._assigned.is_set():
                ready = True
                faust_app.tell_ready()


def main(settings: StreamsSettings, serving: ServingSettings, worker: str = "1") -> None:
    """Runs a predict worker until SIGTERM; `worker` is its name, unlike any other predict's.

    The process ends with this call: code 0 after a signal, 1 after a failure.
    """
    faust_app.clear_ready()
    try:
        alias = ChampionAlias()
        schemas = read_schemas(settings.schema_path)
        control = ControlLog(settings, [alias])
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

        answerer = Answerer(
            schemas,
            client,
            lambda: alias.champion,
            heal,
            serving.mode,
            ThreadPoolExecutor(settings.in_flight, thread_name_prefix="triton"),
        )
        app: faust.App = PredictApp(settings, answerer, control, worker).app
    except Exception as error:
        faust_app.crash(error)
    faust_app.run(app)
