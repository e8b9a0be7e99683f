"""Ports of 127.0.0.1: which is free, and who holds one that is not."""

import random
import socket
from collections.abc import Callable, Collection
from pathlib import Path

import psutil

from infra.local.errors import PortTaken

HOST = "127.0.0.1"
_FIRST = 10_000
_CLIENTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Of its own: whoever seeds the global one would get the same ports in every process.
_CHANCE = random.SystemRandom()


def free_port(avoid: Collection[int] = ()) -> int:
    """A port that nobody listens on now and that is not in `avoid`.

    It lies below those that the system gives to clients. Of these, one that knocks again and again
    at a killed server's port will some time be given that very port: it is then connected to
    itself, and the server, when it is back, finds its port taken.
    """
    while True:
        port = _CHANCE.randrange(_FIRST, max(_first_of_clients(), _FIRST + 10_000))
        if port not in avoid and is_free(port):
            return port


def _first_of_clients() -> int:
    try:
        return int(_CLIENTS.read_text().split()[0])
    except OSError:  # no Linux
        return 32_768


def choose_port(
    wanted: int,
    *,
    strict: bool = False,
    avoid: Collection[int] = (),
    say: Callable[[str], None] = print,
) -> int:
    """`wanted` if it is free, else another one, said aloud with who holds the wanted one.

    wanted: 0 asks for any free port. avoid: ports promised to others already.
    Raises PortTaken if the port is taken and `strict`.
    """
    if wanted == 0:
        return free_port(avoid)
    if wanted not in avoid and is_free(wanted):
        return wanted
    who = "another part of this stack" if wanted in avoid else holder(wanted)
    if strict:
        raise PortTaken(f"Port {wanted} is held by {who}: stop it or set another port.")
    port = free_port(avoid)
    say(f"Port {wanted} is held by {who}; using {port} instead.")
    return port


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now; connections just closed are no obstacle."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens on the port: process id and command, as far as this user may see it."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            try:
                command = " ".join(psutil.Process(connection.pid).cmdline())
            except psutil.Error:
                command = "a process that has just ended"
            return f"process {connection.pid} ({command[:80]})"
    return "a process of another user"
