"""How each arm's answerer answers, and what happens where it cannot. No Kafka, no engine."""

import asyncio
from typing import Any

import pytest

from schemas.events import ListingPrediction, Mode, Status, now_ms
from serving.errors import (
    AdapterError,
    Busy,
    EngineFailed,
    Refused,
    ServingError,
    Unavailable,
)
from serving.examples import schema_example
from serving.generation import GenerationRequest, GenerationResult
from serving.listing import Listing
from streams import metrics
from streams.kafka.control_log import Champion
from streams.predict.answerers import Question
from streams.predict.flow import Gate, Lane, Slot
from streams.predict.traffic import Traffic
from tests.streams.predict.arm_worker import (
    CHAMPION,
    COLOUR,
    LAMPS,
    TRIED,
    Endpoint,
    Engine,
    Worker,
    request,
)


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
