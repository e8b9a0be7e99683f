"""Bytes over https, from public addresses alone.

A name is resolved once for a connection, every address of the answer is checked, and only those are
dialled: a DNS server that answers otherwise the next time changes nothing. Redirects are refused,
and no proxy, cookie, credential or compression is used.
"""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from serving.pictures.addresses import https_url, is_public, refusal, too_long
from serving.pictures.settings import LookingSettings

if TYPE_CHECKING:
    from yarl import URL

ATTEMPTS = 2
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Network:
    """What stands between us and a server. Tests have another one; nothing sets it."""

    resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver
    tls: ssl.SSLContext | bool = True
    make_socket: Callable[[Any], socket.socket] | None = None
    """The `socket_factory` of `aiohttp.TCPConnector`."""


class Web:
    """A session of one worker; made where its event loop runs."""

    def __init__(self, looking: LookingSettings, network: Network) -> None:
        self._looking = looking
        connector = aiohttp.TCPConnector(
            limit=looking.at_once,
            resolver=_Checked(network.resolver()),
            use_dns_cache=False,
            ssl=network.tls,
            socket_factory=network.make_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # A compressed answer is no picture that is read, and none that unfolds.
            auto_decompress=False,
            headers={
                "Accept": "image/*",
                "Accept-Encoding": "identity",
                "User-Agent": "listune",
            },
            timeout=aiohttp.ClientTimeout(total=looking.timeout_s),
            trust_env=False,
        )

    async def fetch(self, uri: str) -> bytes:
        """The bytes at `uri`. One more attempt if the server fails, is slow or is cut off.

        Raises:
            PictureUnavailable: if it is not allowed, or there is no picture of that size.
        """
        url = https_url(uri, self._looking.hosts)
        for left in reversed(range(ATTEMPTS)):
            try:
                return await self._attempt(uri, url)
            except _Failed as failed:
                why = str(failed)
            except _NotPublic as error:
                raise refusal(uri, "its host has an address that is not public") from error
            except TimeoutError:
                why = f"there was no whole answer within {self._looking.timeout_s:g} s"
            except aiohttp.ClientConnectorError as error:
                why = f"the connection failed ({str(error)[:200]})"
            except (aiohttp.ClientError, ValueError) as error:
                why = f"the connection failed ({type(error).__name__})"  # some repeat the query
            if not left:
                break
        raise refusal(uri, f"{why}, {ATTEMPTS} times")

    async def close(self) -> None:
        await self._session.close()

    async def _attempt(self, uri: str, url: "URL") -> bytes:
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status >= 500:
                raise _Failed(f"the server answered {response.status}")
            if 300 <= response.status < 400:
                raise refusal(uri, "the server sends on to another URL; name that one")
            if response.status != 200:
                raise refusal(uri, f"the server answered {response.status}")
            most = self._looking.max_bytes
            if (response.content_length or 0) > most:
                raise too_long(uri, most)
            data = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                data += chunk
                if len(data) > most:
                    raise too_long(uri, most)
            return bytes(data)


class _Failed(Exception):
    """The server says that it is at fault; another attempt may help."""


class _NotPublic(Exception):
    """A name leads into a network that is nobody else's business."""


class _Checked(AbstractResolver):
    """Another resolver's answers, if every one of them is public."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(answer["host"]) for answer in found):
            raise _NotPublic
        return found

    async def close(self) -> None:
        await self._inner.close()
