"""An internet on this machine: a DNS of our own, and a real TLS server that every address leads to.

The fetcher under test has its own rules, port and certificate checks. Only the last step is
diverted: a socket that is connected to any address ends up at the local server, and the address
that was dialled is written down. A slow answer takes no time: the loop's clock goes on by an hour
once the server was asked, so that a busy machine cannot be slow in its place.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from serving.pictures.fetching import Fetcher
from serving.pictures.settings import LookingSettings
from serving.pictures.web import Network
from tests.serving.pictures.drawing import plain

HOST = "cdn.example.com"
HOSTS = (HOST, "*.shop.example.com")
PUBLIC = "93.184.216.34"
PICTURE = plain()
SLOW_S = 3600.0
LONG_BYTES = 100 << 20


@dataclass
class Internet:
    """What its server was asked, and which addresses were dialled."""

    fetcher: Fetcher
    dialled: list[str]
    asked: Counter[str] = field(default_factory=Counter)
    headers: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    written: int = 0
    skipped_s: float = 0.0


class _Dns(AbstractResolver):
    """Answers each question with the next list of addresses; the last one stays."""

    def __init__(self, answers: list[list[str]]) -> None:
        self._answers = answers

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        if not addresses:
            raise OSError(None, "no such name")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


def _diverted(port: int, dialled: list[str]) -> Callable[[Any], socket.socket]:
    class Diverted(socket.socket):
        def connect(self, address: Any) -> None:
            dialled.append(address[0])
            super().connect(("127.0.0.1", port))

    return lambda info: Diverted(socket.AF_INET, socket.SOCK_STREAM)


@asynccontextmanager
async def internet(
    *answers: list[str], trusted: bool = True, names: tuple[str, ...] = (HOST,), **looking: Any
) -> AsyncIterator[Internet]:
    """An internet whose DNS answers `answers` in turn, by default a public address."""
    authority = trustme.CA()
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    if trusted:
        authority.configure_trust(client_tls)
    dialled: list[str] = []
    app = web.Application()
    runner = web.AppRunner(app)
    app.router.add_get("/{way:.*}", lambda request: _answer(request, net))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls, shutdown_timeout=0.1)
    await site.start()
    port = runner.addresses[0][1]
    network = Network(
        resolver=lambda: _Dns(list(answers) or [[PUBLIC]]),
        tls=client_tls,
        make_socket=_diverted(port, dialled),
    )
    net = Internet(Fetcher(LookingSettings(hosts=HOSTS, **looking), network), dialled)
    loop = asyncio.get_running_loop()
    clock = loop.time
    setattr(loop, "time", lambda: clock() + net.skipped_s)  # noqa: B010 (no method is assigned to)
    try:
        yield net
    finally:
        await net.fetcher.close()
        await runner.cleanup()


async def _answer(request: web.Request, net: Internet) -> web.StreamResponse:
    """What a path stands for: /status/404, /redirect/302?to=…, /slow, /once/503, …"""
    net.asked[request.path] += 1
    net.headers.append(dict(request.headers))
    net.at_once += 1
    net.most_at_once = max(net.most_at_once, net.at_once)
    try:
        kind, *rest = request.match_info["way"].split("/")
        return await _KINDS.get(kind, _picture)(request, net, *rest)
    finally:
        net.at_once -= 1


async def _picture(request: web.Request, net: Internet, *rest: str) -> web.StreamResponse:
    await asyncio.sleep(0)
    headers = {"Set-Cookie": "spy=1"}
    if request.query.get("close"):
        headers["Connection"] = "close"
    return web.Response(body=PICTURE, content_type="image/png", headers=headers)


async def _status(request: web.Request, net: Internet, status: str) -> web.StreamResponse:
    return web.Response(status=int(status))


async def _redirect(request: web.Request, net: Internet, status: str) -> web.StreamResponse:
    return web.Response(status=int(status), headers={"Location": request.query["to"]})


async def _once(request: web.Request, net: Internet, what: str) -> web.StreamResponse:
    if net.asked[request.path] > 1:
        return web.Response(body=PICTURE)
    if what == "cut":
        _hang_up(request)
    elif what == "slow":
        await _slow(request, net)
    return web.Response(status=int(what) if what.isdecimal() else 200)


async def _slow(request: web.Request, net: Internet) -> web.StreamResponse:
    net.skipped_s += SLOW_S
    await asyncio.Event().wait()
    raise AssertionError


async def _cut(request: web.Request, net: Internet) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"half a picture")
    _hang_up(request)
    return response


async def _long(request: web.Request, net: Internet, how: str) -> web.StreamResponse:
    response = web.StreamResponse()
    if how == "said":
        response.content_length = LONG_BYTES
    await response.prepare(request)
    for _ in range(LONG_BYTES >> 16):
        await response.write(bytes(1 << 16))
        net.written += 1 << 16
        await asyncio.sleep(0)  # a server that is not read notices that nobody is there
    return response


def _hang_up(request: web.Request) -> None:
    assert request.transport
    request.transport.abort()


async def _nonsense(request: web.Request, net: Internet) -> web.StreamResponse:
    assert request.transport
    request.transport.write(b"HTTP/9.x NOT HTTP\r\n\r\n")
    _hang_up(request)
    return web.Response()


async def _packed(request: web.Request, net: Internet) -> web.StreamResponse:
    import gzip

    return web.Response(body=gzip.compress(PICTURE), headers={"Content-Encoding": "gzip"})


_KINDS: dict[str, Any] = {
    "status": _status,
    "redirect": _redirect,
    "once": _once,
    "slow": _slow,
    "cut": _cut,
    "long": _long,
    "nonsense": _nonsense,
    "packed": _packed,
}
