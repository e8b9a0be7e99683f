"""An endpoint that is down, slow or busy: asked again while there is time, and never longer."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from serving.endpoint.arm import EndpointArm
from serving.endpoint.client import pause_s
from serving.settings import LiveEndpointSettings
from tests.chat import Chat, Said
from tests.serving.endpoint.asking import GOOD, REQUEST, refused


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
