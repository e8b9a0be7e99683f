"""How orders for an adapter on trial are answered beside sellers. No Kafka, no engine."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from schemas.events import ListingPrediction, Purpose, Status, now_ms
from serving.errors import (
    Busy,
    Cancelled,
)
from serving.generation import GenerationResult
from streams import metrics
from streams.predict import answering
from streams.predict.flow import Gate, Lane, Slot
from streams.predict.traffic import Traffic
from tests.streams.predict.arm_worker import CHAMPION, TRIED, Engine, Worker, request


def test_a_shadow_order_is_answered_by_the_adapter_on_trial() -> None:
    engine = Engine()
    order = {"purpose": Purpose.SHADOW, "adapter_hash": "hash-a2", "live_input_hash": "live"}
    answer = Worker("blind", engine).answer(**order)
    assert (answer.status, answer.adapter_hash) == (Status.OK, "hash-a2")
    assert (answer.purpose, answer.arms) == (Purpose.SHADOW, {})
    assert answer.input_hash == "live"


def test_a_shadow_order_for_an_unknown_adapter_is_superseded_without_inference() -> None:
    engine = Engine()
    answer = Worker("blind", engine).answer(purpose=Purpose.SHADOW, adapter_hash="hash-a9")
    assert (answer.status, engine.asked) == (Status.SUPERSEDED, [])


def test_nobody_stands_in_for_an_adapter_on_trial_that_is_gone() -> None:
    engine = Engine(CHAMPION.hash)
    engine.push_fault = FileNotFoundError("/registry/a2")
    answer = Worker("blind", engine).answer(purpose=Purpose.SHADOW, adapter_hash="hash-a2")
    assert answer.status is Status.FAILED
    assert "/registry/a2" in (answer.error or "")


class Endless(Engine):
    """An engine that answers no order before it is given up, `tries` times; then at once."""

    def __init__(self, tries: float) -> None:
        super().__init__(TRIED.hash)
        self.tries = tries
        self.at_work = threading.Semaphore(0)

    def generate(
        self, *asked: Any, give_up: Future[None] | None = None, **more: Any
    ) -> GenerationResult:
        if give_up is not None and self.tries > 0:
            self.tries -= 1
            self.at_work.release()
            give_up.result(20)
            raise Cancelled("whoever asked gave up")
        return super().generate(*asked, **more)


def gave_way() -> float:
    return float(metrics.GAVE_WAY._value.get())


async def shadow_beside_sellers(
    engine: Endless, worker: Worker, sellers: int, before_each: Callable[[], None] = lambda: None
) -> ListingPrediction:
    """The answer to a shadow order, during each of whose tries a seller comes."""
    gate = Gate(2)
    order = request(purpose=Purpose.SHADOW, adapter_hash=TRIED.hash)
    answer = asyncio.ensure_future(worker.answerer.answer(order, now_ms(), Slot(gate, Lane.SHADOW)))
    for _ in range(sellers):
        assert await asyncio.to_thread(engine.at_work.acquire, True, 20)
        before_each()
        # The seller has a slot at once, though the order is at work.
        await asyncio.wait_for(gate.acquire(Lane.LIVE), 1)
        await asyncio.sleep(0.05)
        assert not answer.done()
        gate.release(Lane.LIVE)
    return await asyncio.wait_for(answer, 20)


def test_a_shadow_order_is_broken_off_when_a_seller_comes_and_tried_again_later() -> None:
    engine, before = Endless(2), gave_way()
    worker = Worker("blind", engine)
    answer = asyncio.run(shadow_beside_sellers(engine, worker, 2))
    assert (answer.status, answer.adapter_hash) == (Status.OK, TRIED.hash)
    assert gave_way() - before == 2


def test_a_shadow_order_that_finds_no_quiet_moment_is_superseded_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answering, "SHADOW_WAIT_S", 0.3)

    async def scenario() -> ListingPrediction:
        gate, worker = Gate(2), Worker("blind", Endless(0))
        await gate.acquire(Lane.LIVE)
        order = request(purpose=Purpose.SHADOW, adapter_hash=TRIED.hash)
        slot = Slot(gate, Lane.SHADOW)
        return await asyncio.wait_for(worker.answerer.answer(order, now_ms(), slot), 20)

    answer = asyncio.run(scenario())
    assert answer.status is Status.SUPERSEDED
    assert "quiet moment" in (answer.error or "")


def test_a_shadow_order_whose_trial_ended_while_it_waited_is_superseded_without_inference() -> None:
    engine = Endless(1)
    worker = Worker("blind", engine)

    def ends() -> None:
        worker.traffic = Traffic(CHAMPION)

    answer = asyncio.run(shadow_beside_sellers(engine, worker, 1, ends))
    assert (answer.status, engine.asked) == (Status.SUPERSEDED, [])


def test_a_shadow_order_waits_for_an_engine_that_is_busy_and_still_gives_way() -> None:
    engine = Endless(1)
    busy = [Busy("full"), Busy("full")]
    engine.fault = lambda *_: busy.pop() if busy else None
    answer = asyncio.run(shadow_beside_sellers(engine, Worker("blind", engine), 1))
    assert (answer.status, busy) == (Status.OK, [])
