"""What a process does that is one worker of this room. It is forked from one that has imported this
module, which takes longer than most of what a test has a worker do.

A worker's kind is predict, predict-without-triton (the real client, and nobody there),
predict-with-triton (the real one, whose settings stand in SERVING in the environment) or curate.

The predict worker talks to a stand-in for the Triton client, in this test only: the room's own
behaviour is under test here, and tests/e2e drives the real Triton. The stand-in fills every
enumerated attribute with its first value, or with its last where it sees a picture; words in the
title make it slow, away or faulty. Beside it is an endpoint that gives no answer, after SLOW_S, or
the one that SERVING sets. With HANG in the environment curate's pool and predict's event loop hang
at the first record.
"""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path

from schemas.category import Attribute
from serving.errors import Cancelled, Refused, Unavailable, UnknownAdapter
from serving.generation import GenerationRequest, GenerationResult
from serving.listing import Listing
from serving.settings import ServingSettings
from streams.curate import app as curate
from streams.pool.store import Pool, Record
from streams.predict import app as predict
from streams.settings import StreamsSettings
from streams.worker import faust_app
from tests.streams.predict.in_threads import InThreads


class StandIn(InThreads):
    """Answers like `serving.triton.client.TritonClient`, without a model."""

    def __init__(self, settings: ServingSettings) -> None:
        self._back_at: float | None = None
        self._adapters = {"base"}

    def generate(
        self,
        listing: Listing,
        attributes: Sequence[Attribute],
        mode: object = None,
        batches: int | None = None,
        adapter_hash: str = "base",
        timeout_s: float | None = None,
        example: object = None,
        give_up: Future[None] | None = None,
        pictures: Sequence[bytes] = (),
    ) -> GenerationResult:
        if adapter_hash not in self._adapters:
            raise UnknownAdapter("push it")
        if "slow" in listing.title and give_up is not None:
            wait([give_up], float(os.environ.get("SLOW_S", "1")))
            if give_up.done():
                raise Cancelled("given up")
        elif "slow" in listing.title:
            time.sleep(float(os.environ.get("SLOW_S", "1")))
        if "away" in listing.title:
            self._back_at = self._back_at or time.monotonic() + float(os.environ.get("AWAY_S", "2"))
            if time.monotonic() < self._back_at:
                raise Unavailable("nobody there")
        if "refused" in listing.title:
            raise Refused("the listing is refused")
        if "bug" in listing.title:
            raise RuntimeError("a fault that nobody foresaw")
        values = {a.name: [a.values[-1 if pictures else 0]] for a in attributes if a.values}
        return GenerationResult(
            values=values,
            invalid={},
            confidence=dict.fromkeys(values, 1.0),
            adapter_id=adapter_hash,
            adapter_hash=adapter_hash,
            batches=1,
            forward_passes=1,
            tokens_computed=1,
            logits_computed=1,
            seconds=0.0,
        )

    def give(self, adapter_hash: str) -> None:
        self._adapters.add(adapter_hash)


class SlowEndpoint:
    """An endpoint that does not answer."""

    def answer(
        self, request: GenerationRequest, timeout_s: float | None = None
    ) -> GenerationResult:
        time.sleep(float(os.environ.get("SLOW_S", "1")))
        raise Unavailable("nobody there")


def watch_the_pool() -> None:
    """Logs how many payload records the pool has, and forgets commits to Kafka if so asked."""
    apply = Pool.apply

    def watched(pool: Pool, records: Sequence[Record]) -> None:
        if os.environ.get("HANG"):
            time.sleep(600)
        apply(pool, records)
        [(total,)] = pool.con.execute(
            "SELECT sum(next_offset) FROM store.watermarks WHERE topic LIKE 'listing.%'"
        ).fetchall()
        logging.getLogger("pool").info("applied %s.", total)

    async def no_commit(*_: object) -> bool:
        return True

    Pool.apply = watched
    if os.environ.get("NO_COMMIT"):
        faust_app.commit = no_commit


def begin(kind: str, settings: str, env: Mapping[str, str], log: Path) -> None:
    """Works until it is ended, with this environment alone; what it says goes to the file `log`."""
    os.environ.clear()
    os.environ.update(env)
    with log.open("ab") as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
    main(kind, StreamsSettings.model_validate_json(settings))


def main(kind: str, settings: StreamsSettings) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    faust_app.SESSION_S = float(os.environ.get("SESSION_S", faust_app.SESSION_S))
    if kind == "curate":
        watch_the_pool()
        if os.environ.get("UNAWARE"):  # that it slept
            curate.CurateApp._end_if_replaced = lambda *_: None
        curate.main(settings, os.environ.get("WORKER", "1"), os.environ.get("PICTURES"))
    if kind == "predict-without-triton":
        predict.main(settings, ServingSettings(triton_url="127.0.0.1:1"))
    if kind == "predict-with-triton":
        serving = ServingSettings.model_validate_json(os.environ["SERVING"])
        predict.main(settings, serving, os.environ.get("WORKER", "1"))
    if os.environ.get("HANG"):
        predict.decode = lambda *_: time.sleep(600)
    predict.COMMIT_S = float(os.environ.get("COMMIT_S", predict.COMMIT_S))
    predict.TritonClient = StandIn
    predict.ensure_adapter = lambda client, adapter_hash, uri: client.give(adapter_hash)
    serving = ServingSettings.model_validate_json(os.environ.get("SERVING", "{}"))
    endpoint = None if serving.endpoint.url else SlowEndpoint()
    predict.main(settings, serving, os.environ.get("WORKER", "1"), endpoint)
