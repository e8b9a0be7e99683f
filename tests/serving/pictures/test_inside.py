"""No URI of a seller leads a worker into the network that it stands in.

Each case is tried against a real TLS server that every address leads to: what is refused by the
name or the address has dialled nothing, and what is refused by the answer has dialled a public
address once.
"""

import asyncio

import pytest

from serving.errors import PictureUnavailable
from serving.pictures.addresses import is_public
from tests.serving.pictures.internet import HOST, PICTURE, PUBLIC, internet

SECRET = "s3cr3t"

ADDRESSES = {
    "loopback": ["127.0.0.1"],
    "loopback beside the usual one": ["127.8.8.8"],
    "private 10/8": ["10.0.0.5"],
    "private 172.16/12": ["172.31.255.254"],
    "private 192.168/16": ["192.168.1.1"],
    "link-local, AWS's and Google's metadata": ["169.254.169.254"],
    "shared by a carrier": ["100.64.0.1"],
    "Alibaba's metadata": ["100.100.100.200"],
    "Azure's host": ["168.63.129.16"],
    "Oracle's metadata": ["192.0.0.192"],
    "unspecified": ["0.0.0.0"],
    "this network": ["0.1.2.3"],
    "multicast": ["224.0.0.1"],
    "reserved": ["240.0.0.1"],
    "broadcast": ["255.255.255.255"],
    "benchmarks": ["198.18.0.1"],
    "documentation": ["203.0.113.7"],
    "6to4 relay": ["192.88.99.1"],
    "IPv6 loopback": ["::1"],
    "IPv6 unspecified": ["::"],
    "IPv6 link-local": ["fe80::1"],
    "IPv6 link-local with its zone": ["fe80::1%1"],
    "IPv6 site-local": ["fec0::1"],
    "IPv6 unique local, AWS's metadata": ["fd00:ec2::254"],
    "IPv6 multicast": ["ff02::1"],
    "IPv6 documentation": ["2001:db8::1"],
    "IPv4 mapped into IPv6": ["::ffff:127.0.0.1"],
    "a public IPv4 mapped into IPv6": [f"::ffff:{PUBLIC}"],
    "IPv4 as IPv6 of the old kind": ["::127.0.0.1"],
    "6to4 that carries a loopback": ["2002:7f00:1::"],
    "NAT64 that carries a loopback": ["64:ff9b::7f00:1"],
    "NAT64 of a network of its own": ["64:ff9b:1::a00:1"],
    "Teredo": ["2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    "a public address and a private one": [PUBLIC, "10.0.0.5"],
}

URIS = {
    "an address": "https://127.0.0.1/x.jpg",
    "a public address": f"https://{PUBLIC}/x.jpg",
    "a decimal address": "https://2130706433/x.jpg",
    "an octal address": "https://0177.0.0.1/x.jpg",
    "a hexadecimal address": "https://0x7f000001/x.jpg",
    "a hexadecimal address in parts": "https://0x7f.0x0.0x0.0x1/x.jpg",
    "a short address": "https://127.1/x.jpg",
    "an IPv6 address": "https://[::1]/x.jpg",
    "an IPv4 address mapped into IPv6": "https://[::ffff:169.254.169.254]/x.jpg",
    "localhost": "https://localhost/x.jpg",
    "a dot at the end": f"https://{HOST}./x.jpg",
    "an address with a dot at the end": "https://127.0.0.1./x.jpg",
    "credentials": f"https://user:{SECRET}@{HOST}/x.jpg",
    "a name alone as credentials": f"https://{SECRET}@{HOST}/x.jpg",
    "an allowed host as credentials": f"https://{HOST}@127.0.0.1/x.jpg",
    "an allowed host and a port as credentials": f"https://{HOST}:443@127.0.0.1/x.jpg",
    "an encoded @": f"https://{HOST}%40127.0.0.1/x.jpg",
    "a backslash before the @": f"https://127.0.0.1\\@{HOST}/x.jpg",
    "a # before the @": f"https://127.0.0.1#@{HOST}/x.jpg",
    "a ? before the @": f"https://127.0.0.1?@{HOST}/x.jpg",
    "full-width digits": "https://１２７.０.０.１/x.jpg",
    "circled letters": "https://ⓒⓓⓝ.example.com/x.jpg",
    "an ideographic dot": "https://cdn。example.com/x.jpg",
    "a letter of another script": "https://cdn.exаmple.com/x.jpg",
    "a soft hyphen": "https://cdn.exam\u00adple.com/x.jpg",
    "no host": "https:///x.jpg",
    "no host but a port": "https://:443/x.jpg",
    "one slash": f"https:/{HOST}/x.jpg",
    "no slash": f"https:{HOST}/x.jpg",
    "no scheme": f"//{HOST}/x.jpg",
    "another port": f"https://{HOST}:8443/x.jpg",
    "SSH's port": f"https://{HOST}:22/x.jpg",
    "an empty port": f"https://{HOST}:/x.jpg",
    "a port in other digits": f"https://{HOST}:４４３/x.jpg",
    "http": f"http://{HOST}/x.jpg",
    "ftp": f"ftp://{HOST}/x.jpg",
    "gopher": "gopher://127.0.0.1:6379/_FLUSHALL",
    "data": "data:image/png;base64,iVBORw0KGgo=",
    "a scheme in two": f"url:https://{HOST}/x.jpg",
    "a Unix socket": "unix:///var/run/docker.sock",
    "a bucket that is not allowed": "s3://internal/x.jpg",
    "a host that is not allowed": "https://evil.example.net/x.jpg",
    "an allowed host as a beginning": f"https://{HOST}.evil.example.net/x.jpg",
    "an allowed host as an end": f"https://evil{HOST}/x.jpg",
    "the end of an allowed domain without its dot": "https://evilshop.example.com/x.jpg",
    "a label of 64 characters": f"https://{'a' * 64}.shop.example.com/x.jpg",
    "a name of 300 characters": f"https://{'a.' * 142}shop.example.com/x.jpg",
    "a bracket": "https://[cdn.example.com/x.jpg",
    "a file of another machine": f"file://{HOST}/x.jpg",
    "a broken file URI": "file://[/x.jpg",
    "half of a character": f"https://{HOST}\ud800/x.jpg",
    "a line break": f"https://{HOST}/x.jpg\r\nHost: 127.0.0.1",
    "a tab in the host": "https://127.0\t.0.1/x.jpg",
    "a space before": f" https://{HOST}/x.jpg",
    "a zero byte": f"https://{HOST}\0.example.net/x.jpg",
    "an escaped host": "https://%31%32%37.0.0.1/x.jpg",
}

REDIRECTS = {
    f"redirect {status} to {what}": f"https://{HOST}/redirect/{status}?to={to}"
    for status in (301, 302, 303, 307, 308)
    for what, to in {
        "the metadata": "http://169.254.169.254/latest/meta-data/",
        "the same host": f"https://{HOST}/x.jpg",
    }.items()
}


def refused(uri: str, *answers: list[str]) -> tuple[str, list[str], int]:
    """What is said of `uri`, which addresses were dialled, and how often the server was asked."""

    async def tried() -> tuple[str, list[str], int]:
        async with internet(*answers) as net:
            with pytest.raises(PictureUnavailable) as error:
                await net.fetcher.fetch(uri)
            return str(error.value), net.dialled, net.asked.total()

    said, dialled, asked = asyncio.run(tried())
    assert said.startswith("The picture ")
    assert said.endswith(".")
    assert "\n" not in said
    assert SECRET not in said
    return said, dialled, asked


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_allowed_name_that_leads_inside_is_not_dialled(name: str) -> None:
    said, dialled, _ = refused(f"https://{HOST}/x.jpg?{SECRET}", ADDRESSES[name])
    assert "an address that is not public" in said
    assert dialled == []


@pytest.mark.parametrize("name", URIS)
def test_a_uri_that_may_not_be_named_is_refused_without_dialling(name: str) -> None:
    _, dialled, _ = refused(URIS[name])
    assert dialled == []


@pytest.mark.parametrize("name", REDIRECTS)
def test_a_redirect_is_not_followed(name: str) -> None:
    said, dialled, asked = refused(REDIRECTS[name])
    assert "sends on to another URL" in said
    assert (dialled, asked) == ([PUBLIC], 1)


def test_there_are_no_fewer_cases_than_promised() -> None:
    assert len(ADDRESSES | URIS | REDIRECTS) >= 40


def test_a_name_whose_address_changes_between_two_connections_is_not_dialled_again() -> None:
    async def rebound() -> None:
        async with internet([PUBLIC], ["127.0.0.1"]) as net:
            assert await net.fetcher.fetch(f"https://{HOST}/x.png?close=1") == PICTURE
            with pytest.raises(PictureUnavailable, match="not public"):
                await net.fetcher.fetch(f"https://{HOST}/x.png")
            assert net.dialled == [PUBLIC]

    asyncio.run(rebound())


def test_a_name_whose_address_changes_after_the_check_is_dialled_where_it_was_checked() -> None:
    async def rebound() -> None:
        # A second question, between check and connection, would be answered with the inside.
        async with internet([PUBLIC], ["169.254.169.254"]) as net:
            assert await net.fetcher.fetch(f"https://{HOST}/x.png") == PICTURE
            assert net.dialled == [PUBLIC]

    asyncio.run(rebound())


def test_a_name_whose_address_changes_before_the_second_attempt_is_not_dialled_again() -> None:
    async def rebound() -> None:
        async with internet([PUBLIC], ["10.0.0.5"]) as net:
            with pytest.raises(PictureUnavailable, match="not public"):
                await net.fetcher.fetch(f"https://{HOST}/once/cut")
            assert net.dialled == [PUBLIC]

    asyncio.run(rebound())


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "172.32.0.1", "2606:2800:220:1::1", "64:ff9b::808:808"]
)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)
