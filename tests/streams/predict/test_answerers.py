"""How each arm's answerer answers, and what happens where it cannot. No Kafka, no engine."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import ListingPrediction, ListingRequest, Mode, Purpose, Status, now_ms
from schemas.experiment import Arm, Experiment
from schemas.versions import SchemaVersions
from serving.errors import (
    AdapterError,
    Busy,
    Cancelled,
    EngineFailed,
    Refused,
    ServingError,
    Unavailable,
    UnknownAdapter,
)
from serving.examples import schema_example
from serving.generation import GenerationRequest, GenerationResult
from serving.listing import Listing
from streams import metrics
from streams.kafka.control_log import Champion
from streams.predict import answering
from streams.predict.answerers import Answerers, Question
from streams.predict.answering import Answerer
from streams.predict.flow import Gate, Lane, Slot
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


def fell_back(reason: str) -> float:
    return metrics.FELL_BACK.labels("own", reason)._value.get()


def test_a_blind_answer_has_no_values_needs_no_inference_and_is_ok() -> None:
    engine = Engine()
    answer = Worker("blind", engine).answer()
    assert (answer.status, answer.values, answer.confidence) == (Status.OK, {}, {})
    assert (answer.adapter_id, answer.adapter_hash) == ("blind", "blind")
    assert (answer.requested, answer.missing_required) == (["Colour"], ["Colour"])
    assert (answer.tokens_read, answer.tokens_written) == (0, 0)
    assert answer.category_schema_hash == LAMPS.hash
    assert answer.arms == {"ab": "own"}
    assert engine.asked == []


@pytest.mark.parametrize("changes", [{"category": "Boats"}, {"requested": ["Size"]}, {"title": ""}])
def test_a_blind_request_is_checked_as_any_other(changes: dict[str, Any]) -> None:
    answer = Worker("blind", Engine()).answer(**changes)
    assert (answer.status, answer.arms) == (Status.FAILED, {"ab": "own"})


def test_the_base_answers_where_the_arm_says_so() -> None:
    engine = Engine(CHAMPION.hash)
    answer = Worker("base", engine).answer()
    assert (answer.adapter_id, answer.adapter_hash) == ("base", "base")
    assert (answer.arms, answer.fell_back) == ({"ab": "own"}, None)
    assert (answer.tokens_read, answer.tokens_written) == (46, 4)
    assert engine.asked == [("base", None)]


def test_the_base_with_an_example_is_shown_the_categorys_schema_and_no_listing() -> None:
    engine = Engine()
    worker = Worker("example", engine)
    answers = [worker.answer(), worker.answer(listing_id="another")]
    assert {(a.adapter_id, a.adapter_hash) for a in answers} == {("base+example",) * 2}
    shown = schema_example("Lamps", (COLOUR,))
    assert engine.asked == [("base", shown)] * 2


def test_a_certain_adapter_answers_and_is_given_to_an_engine_that_lacks_it() -> None:
    engine = Engine()
    answer = Worker("adapter:a2", engine).answer()
    assert (answer.adapter_id, answer.adapter_hash, answer.fell_back) == ("a2", "hash-a2", None)
    assert engine.pushed == ["hash-a2"]


class AtOnce(Engine):
    """It answers in the event loop."""

    async def ask(self, request: GenerationRequest, *_: Any, **__: Any) -> GenerationResult:
        return self.generate(adapter_hash=request.adapter_hash)


@pytest.mark.parametrize(("who", "adapter"), [("champion", CHAMPION), ("adapter:a2", TRIED)])
@pytest.mark.parametrize("fault", [None, Unavailable("nobody"), AdapterError("of another base")])
def test_all_who_find_an_adapter_missing_at_once_share_one_push(
    who: str, adapter: Champion, fault: Exception | None
) -> None:
    engine = AtOnce()
    engine.push_fault = fault
    worker = Worker(who, engine)
    question = Question(Listing("l", "Lamps", "A lamp"), LAMPS, (COLOUR,), Mode.FREE)
    plan = worker.traffic.plan(request(), now_ms())

    async def ask_all() -> None:
        ask = worker.answerer._answerers.ask
        asked = (ask(plan, question, None) for _ in range(20))
        await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(ask_all())
    assert engine.pushed == [adapter.hash]


@pytest.mark.parametrize(
    "fault", [FileNotFoundError("/registry/a2"), AdapterError("it is of another base")]
)
def test_where_the_adapter_is_gone_or_refused_the_champion_answers_and_it_is_counted(
    fault: Exception,
) -> None:
    engine = Engine(CHAMPION.hash)
    engine.push_fault = fault
    before = fell_back("adapter_broken")
    worker = Worker("adapter:a2", engine)
    answers = [worker.answer() for _ in range(3)]
    assert {a.adapter_hash for a in answers} == {"hash-a1"}
    assert {(a.status, a.arms["ab"]) for a in answers} == {(Status.OK, "own")}
    assert all(str(fault) in (a.fell_back or "") for a in answers)
    assert fell_back("adapter_broken") == before + 3
    assert engine.pushed == ["hash-a2"]  # each push costs time that other requests wait


def test_an_adapter_that_the_engine_loses_at_once_is_given_up() -> None:
    engine = Engine(CHAMPION.hash)
    engine.loses = True
    answer = Worker("adapter:a2", engine).answer()
    assert answer.adapter_hash == "hash-a1"
    assert "lost it" in (answer.fell_back or "")


def test_an_adapter_that_the_engine_fails_with_is_given_up_after_three_tries() -> None:
    engine = Engine(CHAMPION.hash, TRIED.hash)
    engine.fault = lambda adapter, _: EngineFailed("nan") if adapter == TRIED.hash else None
    answer = Worker("adapter:a2", engine).answer()
    assert [adapter for adapter, _ in engine.asked] == ["hash-a2"] * 3 + ["hash-a1"]
    assert (answer.status, answer.adapter_hash) == (Status.OK, "hash-a1")
    assert "failed 3 times" in (answer.fell_back or "")


def test_an_arm_waits_for_an_engine_that_is_away_or_busy_as_any_other() -> None:
    engine = Engine(TRIED.hash)
    faults: list[Exception] = [Unavailable("nobody"), Busy("full")]
    engine.fault = lambda *_: faults.pop() if faults else None
    answer = Worker("adapter:a2", engine).answer()
    assert (answer.adapter_hash, answer.fell_back) == ("hash-a2", None)


def test_a_push_that_finds_no_engine_is_no_reason_to_give_the_adapter_up() -> None:
    engine = Engine()
    engine.push_fault = Unavailable("nobody")
    answer = Worker("adapter:a2", engine).answer(patience_ms=200)
    assert answer.status is Status.EXPIRED


def test_an_example_that_the_engine_refuses_is_left_out_and_the_champion_answers() -> None:
    engine = Engine(CHAMPION.hash)
    engine.fault = lambda _, example: Refused("too long") if example else None
    answer = Worker("example", engine).answer()
    assert (answer.status, answer.adapter_hash) == (Status.OK, "hash-a1")
    assert "too long" in (answer.fell_back or "")


def test_an_endpoint_answers_where_the_arm_says_so() -> None:
    answer = Worker("endpoint", Engine(), Endpoint()).answer()
    assert (answer.adapter_id, answer.adapter_hash) == ("endpoint:smol", "endpoint:smol")
    assert (answer.values, answer.fell_back) == ({"Colour": ["red"]}, None)


def test_without_an_endpoint_or_where_it_cannot_answer_the_champion_does() -> None:
    none = Worker("endpoint", Engine(CHAMPION.hash)).answer()
    down = Worker(
        "endpoint", Engine(CHAMPION.hash), Endpoint(ServingError("the breaker is open"))
    ).answer()
    assert [a.adapter_hash for a in (none, down)] == ["hash-a1", "hash-a1"]
    assert "no endpoint is set" in (none.fell_back or "")
    assert down.fell_back == "the breaker is open"


def test_a_slow_endpoint_delays_no_answer_of_the_champion() -> None:
    endpoint = Endpoint()
    endpoint.may_answer.clear()
    worker = Worker("endpoint", Engine(CHAMPION.hash), endpoint)
    gate = Gate(1)

    async def ask(**changes: Any) -> ListingPrediction:
        slot = Slot(gate, Lane.LIVE)
        await slot.acquire()
        answer = await worker.answerer.answer(request(**changes), now_ms(), slot)
        slot.release()
        return answer

    async def answer_all() -> list[ListingPrediction]:
        slow = asyncio.create_task(ask(patience_ms=60_000))
        await asyncio.to_thread(endpoint.asked.wait, 20)
        # The only slot and the only thread of the engine are free, the endpoint's call is taken.
        second = await ask()
        in_control = worker.traffic
        worker.traffic = Traffic(CHAMPION)
        third = await ask()
        worker.traffic = in_control
        assert not slow.done()
        endpoint.may_answer.set()
        return [second, third, await slow]

    second, third, slow = asyncio.run(answer_all())
    assert (second.adapter_hash, second.arms) == ("hash-a1", {"ab": "own"})
    assert "taken" in (second.fell_back or "")
    assert (third.adapter_hash, third.fell_back) == ("hash-a1", None)
    assert slow.adapter_hash == "endpoint:smol"


@pytest.mark.slow
def test_an_endpoint_that_is_too_slow_leaves_the_champion_time_to_answer() -> None:
    endpoint = Endpoint()
    endpoint.may_answer.clear()
    worker = Worker("endpoint", Engine(CHAMPION.hash), endpoint)

    async def answer() -> ListingPrediction:
        late = await worker.answerer.answer(request(patience_ms=2_000), now_ms())
        endpoint.may_answer.set()
        return late

    answered = asyncio.run(answer())
    assert (answered.status, answered.adapter_hash) == (Status.OK, "hash-a1")
    assert "no answer within" in (answered.fell_back or "")
    assert answered.latency_ms >= 1_000


def test_who_answers_is_decided_anew_at_each_try() -> None:
    engine = Engine(CHAMPION.hash, TRIED.hash)
    worker = Worker("adapter:a2", engine)

    def ends_meanwhile(adapter: str, _: object) -> Exception | None:
        worker.traffic = Traffic(CHAMPION)
        return Busy("full") if adapter == TRIED.hash else None

    engine.fault = ends_meanwhile
    answer = worker.answer()
    assert (answer.adapter_hash, answer.arms, answer.fell_back) == ("hash-a1", {}, None)


# ------------------------------------------------------------------------------- shadow orders


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
