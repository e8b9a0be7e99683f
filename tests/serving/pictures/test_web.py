"""Bytes over https."""

import asyncio
from typing import Any

import pytest

from serving.errors import PictureUnavailable
from tests.serving.pictures.internet import HOST, LONG_BYTES, PICTURE, PUBLIC, Internet, internet


def got(uri: str, *answers: list[str], **others: Any) -> Internet:
    """The internet after `uri` was fetched."""

    async def fetched() -> Internet:
        async with internet(*answers, **others) as net:
            assert await net.fetcher.fetch(uri) == PICTURE
            return net

    return asyncio.run(fetched())


def refused(uri: str, *answers: list[str], **others: Any) -> tuple[str, Internet]:
    async def tried() -> tuple[str, Internet]:
        async with internet(*answers, **others) as net:
            with pytest.raises(PictureUnavailable) as error:
                await net.fetcher.fetch(uri)
            return str(error.value), net

    return asyncio.run(tried())


@pytest.mark.parametrize(
    "uri",
    [
        f"https://{HOST}/x.png",
        f"HTTPS://{HOST.upper()}/x.png",
        f"https://{HOST}:443/x.png",
        f"https://{HOST}/x.png?size=large&key=a%20b#top",
        f"https://{HOST}/a@b/ü.png",
        f"https://{HOST}",
    ],
)
def test_a_picture_of_an_allowed_host_is_got(uri: str) -> None:
    net = got(uri)
    assert net.dialled == [PUBLIC]
    assert net.headers[0]["Host"] == HOST


def test_a_host_below_a_domain_of_the_list_is_allowed_and_the_domain_itself_is_not() -> None:
    assert got("https://a.b.shop.example.com/x.png", names=("a.b.shop.example.com",)).asked
    said, net = refused("https://shop.example.com/x.png", names=("shop.example.com",))
    assert "add shop.example.com to `serving.looking.hosts`" in said
    assert not net.dialled


def test_nothing_is_said_of_us_and_no_cookie_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")

    async def twice() -> Internet:
        async with internet() as net:
            await net.fetcher.fetch(f"https://{HOST}/x.png")
            await net.fetcher.fetch(f"https://{HOST}/x.png")
            return net

    net = asyncio.run(twice())
    for headers in net.headers:
        assert set(headers) == {"Host", "Accept", "Accept-Encoding", "User-Agent"}
        assert headers["Accept-Encoding"] == "identity"
    assert net.dialled == [PUBLIC]  # one connection for both


def test_what_is_packed_is_not_unfolded() -> None:
    async def fetched() -> bytes:
        async with internet() as net:
            return await net.fetcher.fetch(f"https://{HOST}/packed")

    assert asyncio.run(fetched()).startswith(b"\x1f\x8b")


@pytest.mark.parametrize("fault", ["503", "500", "cut", "slow"])
def test_one_fault_of_the_server_is_forgiven(fault: str) -> None:
    net = got(f"https://{HOST}/once/{fault}")
    assert net.asked.total() == 2


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("status/503", "the server answered 503, 2 times"),
        ("slow", "no whole answer within 10 s, 2 times"),
        ("cut", "the connection failed"),
        ("nonsense", "the connection failed"),
    ],
)
def test_the_same_fault_twice_is_told(way: str, why: str) -> None:
    said, net = refused(f"https://{HOST}/{way}?token=s3cr3t")
    assert why in said
    assert f"https://{HOST}/{way} is not got" in said
    assert "s3cr3t" not in said
    assert net.asked.total() == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 429, 204, 206])
def test_an_answer_that_is_no_picture_is_not_asked_for_again(status: int) -> None:
    said, net = refused(f"https://{HOST}/status/{status}")
    assert f"the server answered {status}" in said
    assert net.asked.total() == 1


@pytest.mark.parametrize("how", ["said", "streamed"])
def test_no_more_is_read_than_may_be(how: str) -> None:
    said, net = refused(f"https://{HOST}/long/{how}", max_bytes=200_000)
    assert "more than 200,000 bytes" in said
    assert net.asked.total() == 1
    assert net.written < LONG_BYTES / 4  # what lies in buffers


def test_a_name_that_is_not_known_is_told() -> None:
    said, net = refused(f"https://{HOST}/x.png", [])
    assert "the connection failed" in said
    assert not net.dialled


@pytest.mark.parametrize("others", [{"trusted": False}, {"names": ("other.example.com",)}])
def test_a_certificate_that_is_not_trusted_or_another_s_is_refused(others: dict[str, Any]) -> None:
    said, net = refused(f"https://{HOST}/x.png", **others)
    assert "the connection failed" in said
    assert "certificate" in said.lower()
    assert not net.asked


def test_no_more_than_at_once_are_asked_at_the_same_time() -> None:
    async def many() -> Internet:
        async with internet(at_once=3) as net:
            uris = [f"https://{HOST}/{number}.png" for number in range(20)]
            await asyncio.gather(*(net.fetcher.fetch(uri) for uri in uris))
            return net

    net = asyncio.run(many())
    assert net.asked.total() == 20
    assert net.most_at_once <= 3
