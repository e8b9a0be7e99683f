"""What a process says of itself over HTTP."""

from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from infra.local.ports import free_port
from serving.errors import HealthPortTaken
from serving.process.health import Health


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def status(port: int, path: str) -> int:
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
            return int(answer.status)
    except HTTPError as refusal:
        with refusal:
            return refusal.code


def test_it_is_live_while_the_main_loop_turns() -> None:
    clock = Clock()
    health = Health(limit_s=15, clock=clock)
    clock.now += 100  # it starts
    assert health.answer("/live")[0] == 200
    health.turned()
    clock.now += 15
    assert health.answer("/live")[0] == 200
    clock.now += 1
    assert health.answer("/live")[::2] == (503, b"the main loop has not turned for 16 s\n")
    health.turned()
    assert health.answer("/live")[0] == 200


def test_it_is_ready_once_it_says_so_and_anyone_on_this_machine_may_ask() -> None:
    health, port = Health(), free_port()
    health.serve(port)
    assert status(port, "live") == 200
    assert status(port, "ready") == 503
    health.tell_ready()
    assert status(port, "ready") == 200
    assert status(port, "else") == 404
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert b"\nlistune_ready 1.0\n" in answer.read()


def test_port_0_opens_nothing_and_a_taken_port_is_one_sentence() -> None:
    Health().serve(0)
    port = free_port()
    Health().serve(port)
    with pytest.raises(HealthPortTaken, match=f"port {port} .* stop what listens there"):
        Health().serve(port)
