"""An endpoint that answers sellers: in time, within its limits, and without showing the key."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from infra.settings import Settings
from serving.endpoint.arm import EndpointArm
from serving.endpoint.client import MAX_ANSWER_BYTES, pause_s
from serving.endpoint.spend import Spent
from serving.errors import EndpointUnavailable
from serving.generation import GenerationRequest, GenerationResult
from serving.settings import LiveEndpointSettings, ServingSettings
from tests.chat import Chat, Said, chatting
from tests.serving.helpers import EVERY_KIND, LAMP

REQUEST = GenerationRequest(LAMP, EVERY_KIND)
GOOD = '{"Colour": "dark blue", "Washable": true}'
KEY = "sk-very/secret+42"


@pytest.fixture
def chat() -> Iterator[Chat]:
    with chatting() as made:
        yield made


@pytest.fixture
def make_arm(chat: Chat, tmp_path: Path) -> Callable[..., EndpointArm]:
    def make(sleep: Callable[[float], None] = lambda _: None, **settings: Any) -> EndpointArm:
        given = {
            "url": chat.url,
            "model": "small",
            "pause_s": 0.01,
            "timeout_s": 5.0,
            "spend_file": tmp_path / "spend.json",
        }
        return EndpointArm(LiveEndpointSettings(**given | settings), 1024, sleep)

    return make


def refused(
    arm: EndpointArm, timeout_s: float | None = None, request: GenerationRequest = REQUEST
) -> EndpointUnavailable:
    """What `arm` says instead of an answer."""
    with pytest.raises(EndpointUnavailable) as caught:
        arm.answer(request, timeout_s)
    return caught.value


# -------------------------------------------------------------------------------- what it answers


def test_an_answer_names_the_endpoint_in_the_place_of_an_adapter(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says(GOOD)
    result = make_arm().answer(REQUEST, 5.0)
    assert result.values == {"Colour": ["dark blue"], "Washable": ["yes"]}
    assert (result.adapter_id, result.adapter_hash) == ("endpoint:small", "endpoint:small")
    assert (result.tokens_computed, result.logits_computed) == (70, 20)


@pytest.mark.parametrize(
    "content", [f"```json\n{GOOD}\n```", f"Here it is: {GOOD} Enjoy!", f"<think>{{</think>{GOOD}"]
)
def test_an_object_among_other_words_is_read(
    chat: Chat, make_arm: Callable[..., EndpointArm], content: str
) -> None:
    chat.says(content)
    assert make_arm().answer(REQUEST).values["Colour"] == ["dark blue"]


def test_values_of_a_wrong_type_are_blank_or_illegal_and_never_a_fault(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    given = {"Colour": {"a": 1}, "Washable": 7, "SKU": [None, []], "Since": 1e999, "Other": "x"}
    chat.says(json.dumps(given | {"Brand": "Lux\ud800"}))
    result = make_arm().answer(REQUEST)
    assert result.values == {"Brand": ["Lux?"]}
    assert set(result.invalid) == {"Washable", "Since"}


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": -1, "completion_tokens": 1 << 70}])
def test_tokens_that_are_not_counted_are_none(
    chat: Chat, make_arm: Callable[..., EndpointArm], usage: Any
) -> None:
    chat.says(GOOD, usage=usage)
    assert make_arm().answer(REQUEST).tokens_computed == 0


def test_the_answer_is_held_to_json_where_that_is_set(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says(GOOD)
    for kind in ("text", "json_object", "json_schema"):
        make_arm(answer_format=kind).answer(REQUEST)
    text, any_object, by_schema = chat.asked
    assert "response_format" not in text
    assert any_object["response_format"] == {"type": "json_object"}
    schema = by_schema["response_format"]["json_schema"]["schema"]
    Draft202012Validator.check_schema(schema)
    accepts = Draft202012Validator(schema).is_valid
    blank = {a.name: [] if a.multi_value else None for a in EVERY_KIND}
    assert accepts(blank | {"Colour": "red", "Washable": True, "Ports": ["USB"], "Weight": "2 kg"})
    for wrong in ({"Colour": "pink"}, {"Ports": ["USB"] * 3}, {"Brand": "x" * 13}, {"More": "x"}):
        assert not accepts(blank | wrong)
    assert not accepts({})


# ------------------------------------------------------------------------------------ bad answers


@pytest.mark.parametrize(
    "content",
    ["A fine blue lamp.", "", '["Colour"]', '{"Colour": "dark blue", "Washab', f"{GOOD} {GOOD}"],
)
def test_prose_and_half_an_object_are_bad_answers_and_nothing_is_guessed(
    chat: Chat, make_arm: Callable[..., EndpointArm], content: str
) -> None:
    chat.says(content)
    error = refused(make_arm())
    assert (error.reason, error.text) == ("bad_answer", content)
    assert len(chat.asked) == 1


@pytest.mark.parametrize("reply", ["<html>", "[]", "", '{"choices": [{"message": "hi"}]}', "\xff"])
def test_a_reply_of_another_form_is_a_bad_answer(
    chat: Chat, make_arm: Callable[..., EndpointArm], reply: str
) -> None:
    chat.replies = [(200, reply)]
    error = refused(make_arm())
    assert (error.reason, error.text) == ("bad_answer", None)


def test_an_answer_that_was_cut_off_tells_what_to_raise(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says('{"Colour": "dark', finish="length")
    error = refused(make_arm())
    assert error.reason == "bad_answer"
    assert "max_tokens" in str(error)


def test_a_huge_answer_is_not_read_to_its_end(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    sent = 0

    def huge(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        try:
            while sent < 20 * MAX_ANSWER_BYTES:
                sent += handler.wfile.write(b"{" * (1 << 20))
        except OSError:
            pass

    chat.does(huge)
    assert refused(make_arm()).reason == "bad_answer"
    assert sent < 20 * MAX_ANSWER_BYTES


def test_an_answer_does_not_stand_in_the_message(
    chat: Chat, make_arm: Callable[..., EndpointArm], caplog: pytest.LogCaptureFixture
) -> None:
    chat.says("The seller lives in Elm Street.")
    assert "Elm Street" not in f"{refused(make_arm())} {caplog.text}"


# ------------------------------------------------------------------------------- down, slow, busy


def test_an_endpoint_that_is_not_there_is_down(make_arm: Callable[..., EndpointArm]) -> None:
    error = refused(make_arm(url="http://127.0.0.1:1/v1"))
    assert error.reason == "down"
    assert "after 2 attempts; see whether it is up" in str(error)


@pytest.mark.parametrize("url", ["http://[::1/v1", "http://no.such.host.invalid/v1", "http://a:b/"])
def test_an_address_that_cannot_be_asked_is_down(
    make_arm: Callable[..., EndpointArm], url: str
) -> None:
    assert refused(make_arm(url=url, attempts=1)).reason == "down"


def test_server_errors_are_tried_again_as_often_as_is_set(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.replies = [(500, "oops"), (503, "busy")]
    chat.says(GOOD)
    assert make_arm(attempts=3).answer(REQUEST).values
    chat.replies = [(502, "bad gateway")]
    assert refused(make_arm(attempts=3)).reason == "down"
    assert len(chat.asked) == 6


def test_a_connection_that_closes_midway_is_tried_again(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')

    def at_once(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.close()

    chat.does(half)
    chat.does(at_once)
    chat.says(GOOD)
    assert make_arm(attempts=3).answer(REQUEST).values
    chat.replies = []
    chat.does(half)
    assert refused(make_arm()).reason == "down"


def test_an_attempt_that_takes_too_long_is_slow_and_the_request_does_not_wait(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    over = threading.Event()
    chat.does(lambda _: over.wait(20) and None)
    began = time.monotonic()
    error = refused(make_arm(timeout_s=0.2, attempts=1))
    took = time.monotonic() - began
    over.set()
    assert error.reason == "slow"
    assert took < 5


def test_no_answer_comes_later_than_the_request_s_patience(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    """Though an endpoint that drips breaks no time-out of a single read."""
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        try:
            while not over.wait(0.05):
                handler.wfile.write(b"H")
        except OSError:
            pass

    chat.does(drip)
    began = time.monotonic()
    error = refused(make_arm(timeout_s=60.0, attempts=5), timeout_s=0.3)
    took = time.monotonic() - began
    over.set()
    assert error.reason == "slow"
    assert took < 5


def test_a_request_whose_patience_is_over_asks_nobody(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    assert refused(make_arm(), timeout_s=0.0).reason == "slow"
    assert chat.asked == []


def test_pauses_grow_and_are_half_by_chance() -> None:
    settings = LiveEndpointSettings(pause_s=1.0)
    shortest = [pause_s(settings, attempt, None, lambda: 0.0) for attempt in (1, 2, 3, 20)]
    longest = [pause_s(settings, attempt, None, lambda: 1.0) for attempt in (1, 2, 3, 20)]
    assert (shortest, longest) == ([0.5, 1.0, 2.0, 15.0], [1.0, 2.0, 4.0, 30.0])
    assert pause_s(settings, 1, 7.0, lambda: 0.0) == 7.0


def test_nobody_waits_for_an_attempt_that_would_come_too_late(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    slept: list[float] = []
    chat.replies = [(503, "busy")]
    assert refused(make_arm(slept.append, pause_s=100.0, patience_s=10.0)).reason == "down"
    assert (slept, len(chat.asked)) == ([], 1)


def test_a_long_complaint_is_shortened(chat: Chat, make_arm: Callable[..., EndpointArm]) -> None:
    chat.replies = [(400, "no " * 10_000)]
    assert len(str(refused(make_arm()))) < 600


def test_retry_after_is_waited_for_where_there_is_time(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    chat.replies = [Said(429, "slower", {"Retry-After": "0.2"})]
    chat.says(GOOD)
    assert make_arm(sleep, pause_s=0.0).answer(REQUEST).values
    assert slept == [0.2]


@pytest.mark.parametrize("after", ["50", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_an_endpoint_that_asks_for_more_time_than_there_is_is_left_alone_by_all(
    chat: Chat, make_arm: Callable[..., EndpointArm], after: str
) -> None:
    chat.replies = [Said(429, "slower", {"Retry-After": after})]
    arm = make_arm()
    first, second = refused(arm), refused(arm)
    assert (first.reason, second.reason) == ("rate_limited", "rate_limited")
    assert "left alone" in str(second)
    assert len(chat.asked) == 1


@pytest.mark.parametrize("after", ["soon", "-5", "nan", "", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_a_retry_after_that_means_nothing_is_passed_over(
    chat: Chat, make_arm: Callable[..., EndpointArm], after: str
) -> None:
    chat.replies = [Said(429, "slower", {"Retry-After": after})]
    chat.says(GOOD)
    assert make_arm().answer(REQUEST).values


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_tried_again(
    chat: Chat, make_arm: Callable[..., EndpointArm], status: int
) -> None:
    chat.replies = [(status, "no")]
    error = refused(make_arm())
    assert error.reason == "refused"
    assert "check serving.endpoint and the API key in LISTUNE_ENDPOINT_KEY" in str(error)
    assert len(chat.asked) == 1


# ----------------------------------------------------------------------------------------- limits


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


# ---------------------------------------------------------------------------------------- the key


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LISTUNE_ENDPOINT_KEY", f"{KEY}\n")  # as it is read from a file
    return KEY


def test_the_key_goes_into_one_header_and_nowhere_else(
    chat: Chat, make_arm: Callable[..., EndpointArm], key: str
) -> None:
    chat.says(GOOD)
    make_arm().answer(REQUEST)
    headers = chat.headers[0]
    assert headers.pop("Authorization") == f"Bearer {key}"
    assert key not in json.dumps([headers, chat.asked])


def test_no_message_and_no_log_has_the_key(
    chat: Chat,
    make_arm: Callable[..., EndpointArm],
    key: str,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """Though endpoints repeat it, in a body or in an address."""
    told = [
        Said(401, f"Incorrect API key provided: {key}."),
        Said(500, json.dumps({"error": f"who is {key}?"})),
        Said(503, "x" * 290 + key),
        Said(302, "", {"Location": f"http://{key.replace('/', '')}:80/v1?key={key}"}),
        Said(429, key, {"Retry-After": key}),
        Said(instead=lambda handler: handler.wfile.write(f"nonsense {key}\r\n\r\n".encode())),
    ]
    messages = []
    with caplog.at_level(logging.DEBUG):
        for said in told:
            chat.replies = [said]
            arm = make_arm(attempts=2, failures_to_open=1, requests_a_day=100)
            messages.append(str(refused(arm)))
            messages.append(repr(refused(arm)))
    shown = "\n".join([*messages, caplog.text, *(p.read_text() for p in tmp_path.iterdir())])
    for form in (key, key[:9], "sk-very%2Fsecret"):
        assert form not in shown


@pytest.mark.parametrize("bad", [f"{KEY}\r\nX-Other: 1", f"{KEY}é", f"{KEY}\x00"[:-1] + "\x7f"])
def test_a_key_that_no_header_can_have_is_refused_without_showing_it(
    chat: Chat,
    make_arm: Callable[..., EndpointArm],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    bad: str,
) -> None:
    monkeypatch.setitem(os.environ, "LISTUNE_ENDPOINT_KEY", bad)
    error = refused(make_arm())
    assert error.reason == "refused"
    assert "LISTUNE_ENDPOINT_KEY" in str(error)
    assert KEY not in f"{error}{caplog.text}"
    assert chat.asked == []


def test_a_redirect_is_not_followed_with_or_without_the_key(
    chat: Chat, make_arm: Callable[..., EndpointArm], key: str
) -> None:
    with chatting() as other:
        other.says(GOOD)
        for status in (301, 302, 303, 307, 308):
            chat.replies = [Said(status, "", {"Location": f"{other.url}/chat/completions"})]
            error = refused(make_arm())
            assert error.reason == "refused"
            assert "redirects to 127.0.0.1" in str(error)
        assert other.asked == []


def test_the_key_is_no_setting(key: str) -> None:
    live = LiveEndpointSettings(url="https://api.example/v1", model="m")
    assert key not in Settings(serving=ServingSettings(endpoint=live)).model_dump_json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_variable": "sk-very-secret"},
        {"url": "https://me:secret@api.example/v1"},
        {"url": "ftp://api.example/v1"},
        {"url": "https://api.example/v1"},
        {"url": "https://api.example/v1", "model": "m", "budget_a_day": 5.0},
        {"requests_per_s": -1},
        {"requests_a_day": 1.5},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LiveEndpointSettings.model_validate(wrong)
