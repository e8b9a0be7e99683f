"""The answering part of a predict worker whose sellers are all in one arm, over stand-ins."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import ListingPrediction, ListingRequest, Mode, now_ms
from schemas.experiment import Arm, Experiment
from schemas.versions import SchemaVersions
from serving.errors import (
    UnknownAdapter,
)
from serving.generation import GenerationRequest, GenerationResult
from streams.kafka.control_log import Champion
from streams.predict.answerers import Answerers
from streams.predict.answering import Answerer
from streams.predict.traffic import Traffic
from tests.streams.predict.in_threads import InThreads

COLOUR = Attribute(name="Colour", type=AttributeType.ENUM, values=("red", "blue"), required=True)
LAMPS = CategorySchema(category="Lamps", attributes=(COLOUR,))
CHAMPION = Champion("a1", "hash-a1", "/registry/a1")
TRIED = Champion("a2", "hash-a2", "/registry/a2")


def request(**changes: Any) -> ListingRequest:
    fields = {
        "request_id": "q",
        "listing_id": "l",
        "seller_id": "s",
        "category": "Lamps",
        "title": "A lamp",
    }
    return ListingRequest(**fields | changes)


def result(adapter: str) -> GenerationResult:
    return GenerationResult(
        values={"Colour": ["red"]}, invalid={}, confidence={"Colour": 0.5},
        adapter_id=adapter.removeprefix("hash-"), adapter_hash=adapter, batches=1,
        forward_passes=3, tokens_computed=50, logits_computed=4, seconds=0.0,
    )  # fmt: skip


class Engine(InThreads):
    """An engine that knows some adapters; `fault` says what it raises of whom."""

    def __init__(self, *known: str) -> None:
        self.known = {"base", *known}
        self.asked: list[tuple[str, object]] = []
        self.pushed: list[str] = []
        self.fault: Callable[[str, object], Exception | None] = lambda adapter, example: None
        self.push_fault: Exception | None = None
        self.loses = False

    def generate(
        self, *_: Any, adapter_hash: str = "base", example: object = None, **__: Any
    ) -> GenerationResult:
        self.asked.append((adapter_hash, example))
        if adapter_hash not in self.known:
            raise UnknownAdapter("push it and ask again")
        if (fault := self.fault(adapter_hash, example)) is not None:
            raise fault
        return result(adapter_hash)

    def give(self, adapter: Champion) -> None:
        self.pushed.append(adapter.hash)
        if self.push_fault is not None:
            raise self.push_fault
        if not self.loses:
            self.known.add(adapter.hash)


class Endpoint:
    """An endpoint that answers once it may; `fault` is raised in place of the answer."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def answer(
        self, request: GenerationRequest, timeout_s: float | None = None
    ) -> GenerationResult:
        assert request.listing.title == "A lamp"
        self.asked.set()
        self.may_answer.wait(20)
        if self.fault is not None:
            raise self.fault
        return result("endpoint:smol")


class Worker:
    """The answering part of a predict worker, all of whose sellers are in the arm `own`."""

    def __init__(self, answers: str, engine: Engine, endpoint: Endpoint | None = None) -> None:
        adapter = {
            "adapter_id": TRIED.id,
            "adapter_hash": TRIED.hash,
            "adapter_uri": TRIED.uri,
        }
        arms = (
            Arm(name="control", answers="champion"),
            Arm(name="own", answers=answers, **adapter if "adapter" in answers else {}),
        )
        running = Experiment(name="ab", arms=arms).grown({"own": 1.0})
        self.traffic = Traffic(CHAMPION, running, adapters={TRIED.hash: TRIED})
        self.executor = ThreadPoolExecutor(1)
        answerers = Answerers(engine, engine.give, self.executor, endpoint, endpoint_calls=1)
        self.answerer = Answerer(
            SchemaVersions(CategorySchemas([LAMPS])),
            lambda: None,
            lambda: self.traffic,
            answerers,
            Mode.FREE,
            self.executor,
        )

    def answer(self, **changes: Any) -> ListingPrediction:
        return asyncio.run(self.answerer.answer(request(**changes), now_ms()))
