"""A port that is taken is named with its holder, and another is chosen unless that is forbidden."""

import os
import socket
from pathlib import Path

import pytest

from infra.local.errors import PortTaken
from infra.local.ports import choose_port, free_port, is_free


@pytest.fixture
def taken() -> object:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        yield server.getsockname()[1]


def test_a_free_port_is_used_as_wanted() -> None:
    wanted = free_port()
    assert choose_port(wanted) == wanted


def test_another_port_is_chosen_and_the_holder_named(taken: int) -> None:
    said: list[str] = []
    port = choose_port(taken, say=said.append)
    assert port != taken
    assert is_free(port)
    assert f"Port {taken} is held by process {os.getpid()} (" in said[0]
    assert f"using {port} instead" in said[0]


def test_a_taken_port_is_an_error_when_ports_are_strict(taken: int) -> None:
    with pytest.raises(PortTaken, match=f"Port {taken} is held by process {os.getpid()}"):
        choose_port(taken, strict=True)


def test_a_port_promised_to_another_part_is_not_given_twice() -> None:
    wanted = free_port()
    said: list[str] = []
    assert choose_port(wanted, avoid={wanted}, say=said.append) != wanted
    assert "another part of this stack" in said[0]


def test_zero_asks_for_any_port() -> None:
    assert is_free(choose_port(0))


def test_a_free_port_is_none_that_a_client_of_a_dead_server_could_be_given() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_port() < first for _ in range(50))
