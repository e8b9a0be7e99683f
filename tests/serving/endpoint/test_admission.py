"""No more is asked of an endpoint than its limits and its budget allow."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from serving.endpoint.arm import EndpointArm
from serving.endpoint.spend import Spent
from serving.errors import EndpointUnavailable
from serving.generation import GenerationResult
from tests.chat import Chat
from tests.serving.endpoint.asking import GOOD, REQUEST, refused


def test_failures_in_a_row_open_the_circuit_and_a_probe_closes_it(
    chat: Chat, make_arm: Callable[..., EndpointArm], caplog: pytest.LogCaptureFixture
) -> None:
    chat.replies = [(500, "oops")]
    arm = make_arm(failures_to_open=2, open_s=0.3, attempts=1)
    with caplog.at_level(logging.INFO):
        assert [refused(arm).reason for _ in range(3)] == ["down", "down", "open_circuit"]
        chat.replies = []
        chat.says(GOOD)
        assert answered_in_the_end(arm).values
    assert len(chat.asked) == 3
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def answered_in_the_end(arm: EndpointArm) -> GenerationResult:
    """The first answer after refusals for an open circuit."""
    give_up = time.monotonic() + 10
    while True:
        try:
            return arm.answer(REQUEST)
        except EndpointUnavailable as error:
            if error.reason != "open_circuit" or time.monotonic() > give_up:
                raise


def test_a_request_that_opens_the_circuit_still_says_what_went_wrong(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.replies = [(500, "oops")]
    arm = make_arm(failures_to_open=2, attempts=5)
    assert (refused(arm).reason, refused(arm).reason) == ("down", "open_circuit")
    assert len(chat.asked) == 2


def test_bad_answers_and_a_busy_endpoint_do_not_open_the_circuit(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    arm = make_arm(failures_to_open=1, attempts=1)
    chat.replies = [(429, "slower")]
    assert [refused(arm).reason for _ in range(2)] == ["rate_limited"] * 2
    chat.replies = []
    chat.says("prose")
    assert [refused(arm).reason for _ in range(2)] == ["bad_answer"] * 2


def test_a_fault_of_ours_leaves_the_probe_with_an_outcome(
    chat: Chat, make_arm: Callable[..., EndpointArm], monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = make_arm(failures_to_open=1, open_s=0.01)
    monkeypatch.setattr(arm._client, "ask", lambda *_: 1 / 0)
    assert refused(arm).reason == "down"
    time.sleep(0.02)
    assert refused(arm).reason == "down"


def test_more_requests_a_second_than_the_rate_are_refused_at_once(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says(GOOD)
    arm = make_arm(requests_per_s=0.01)
    arm.answer(REQUEST)
    assert refused(arm).reason == "rate_limited"
    assert len(chat.asked) == 1


def test_no_more_are_asked_at_once_than_is_set(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    over = threading.Event()
    chat.does(lambda _: over.wait(20) and None)
    arm = make_arm(in_flight=1, attempts=1)
    first = threading.Thread(target=refused, args=(arm,))
    first.start()
    while not chat.asked:
        time.sleep(0.01)
    assert "1 requests may be under way" in str(refused(arm, timeout_s=0.1))
    over.set()
    first.join()
    assert len(chat.asked) == 1


def test_the_budget_of_requests_ends_the_asking_and_outlives_the_worker(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says(GOOD)
    make_arm(requests_a_day=1).answer(REQUEST)
    error = refused(make_arm(requests_a_day=1))
    assert error.reason == "budget"
    assert "next day in UTC" in str(error)
    assert len(chat.asked) == 1


PRICES = {"million_input_tokens": 100.0, "million_output_tokens": 200.0, "max_tokens": 100}


def test_an_answer_is_booked_at_the_price_of_its_tokens(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says(GOOD)
    arm = make_arm(budget_a_day=1.0, **PRICES)
    arm.answer(REQUEST)
    assert spent(arm).money == pytest.approx((50 * 100 + 20 * 200) / 1e6)


def test_an_answer_that_is_not_counted_is_booked_at_what_it_may_have_cost(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says(GOOD, usage=None)
    arm = make_arm(budget_a_day=1.0, **PRICES)
    arm.answer(REQUEST)
    assert spent(arm).money == pytest.approx(arm.cost(len(arm._client.body(REQUEST)), 100))


def test_what_was_refused_costs_nothing_and_what_was_given_up_may(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.replies = [(500, "oops")]
    arm = make_arm(budget_a_day=1.0, attempts=1, **PRICES)
    refused(arm)
    assert spent(arm).money == 0.0
    chat.replies = []
    chat.does(lambda handler: handler.connection.close())
    refused(arm)
    assert spent(arm).money > 0


def test_the_budget_of_money_is_never_exceeded(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says(GOOD)
    arm = make_arm(budget_a_day=0.1, **PRICES)
    reasons = [reason_of(arm) for _ in range(12)]
    assert reasons[0] is None
    assert reasons[-1] == "budget"
    assert spent(arm).money <= 0.1


def reason_of(arm: EndpointArm) -> str | None:
    try:
        arm.answer(REQUEST)
    except EndpointUnavailable as error:
        return error.reason
    return None


def spent(arm: EndpointArm) -> Spent:
    return Spent.model_validate_json(arm.settings.spend_file.read_text())


def test_a_book_that_cannot_be_read_ends_the_asking(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    arm = make_arm(requests_a_day=5)
    arm.settings.spend_file.write_text("{")
    assert refused(arm).reason == "budget"
    assert chat.asked == []


def test_several_threads_share_the_limits(chat: Chat, make_arm: Callable[..., EndpointArm]) -> None:
    chat.says(GOOD)
    arm = make_arm(requests_a_day=10, in_flight=4)
    reasons: list[str | None] = []

    def work() -> None:
        reasons.extend(reason_of(arm) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (reasons.count(None), reasons.count("budget")) == (10, 10)
