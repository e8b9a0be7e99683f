"""What a listing's URI may name: the rules that need no network.

A seller's service writes the URIs, and a worker of ours follows them from inside our network. So
nothing is read but what the settings allow, no address is dialled that is not public, and what is
said of a URI never repeats the parts that may hold a secret.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from serving.errors import PictureUnavailable

if TYPE_CHECKING:
    from yarl import URL

SHOWN_CHARACTERS = 200

HTTPS_PORT = 443
MAX_HOST_CHARACTERS = 253
"""RFC 1035; a label has 63, and Python's resolver raises what it likes of a longer one."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"https://([^/?#]*)", re.IGNORECASE)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label begins with a letter: no number in any notation is taken for a name.
_LAST_LABEL = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"((?:{_LABEL}\.)+{_LAST_LABEL})(?::{HTTPS_PORT})?")

# https://www.iana.org/assignments/iana-ipv4-special-registry, and 224.0.0.0/4, multicast.
_NOT_PUBLIC_4 = [
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",  # a virtual machine's own host in Azure, though it looks public
    )
]
_PUBLIC_6 = ip_network("2000::/3")
# https://www.iana.org/assignments/iana-ipv6-special-registry, within what is public.
_NOT_PUBLIC_6 = [
    ip_network(network)
    for network in (
        "2001::/23",  # Teredo, which carries another address, and other protocols
        "2001:db8::/32",
        "2002::/16",  # 6to4, which carries another address
        "3fff::/20",
    )
]
_NAT64 = ip_network("64:ff9b::/96")


def scheme_of(uri: str) -> str:
    """The scheme of `uri` in lower case; `file` for a plain path."""
    match = _SCHEME.match(uri)
    return match.group(1).lower() if match else "file"


def shown(uri: str) -> str:
    """`uri` as a message names it: without credentials, query and fragment, and not too long."""
    bare = re.split(r"[?#]", uri, maxsplit=1)[0]
    bare = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*:[/\\]*)[^/\\]*@", r"\1", bare)
    bare = "".join(character if character.isprintable() else "?" for character in bare)
    return bare if len(bare) <= SHOWN_CHARACTERS else f"{bare[: SHOWN_CHARACTERS - 1]}…"


def refusal(uri: str, why: str) -> PictureUnavailable:
    """The error that says of `uri` why it is not got; `why` ends the sentence."""
    return PictureUnavailable(f"The picture {shown(uri)} is not got: {why}.")


def too_long(uri: str, max_bytes: int) -> PictureUnavailable:
    """The error for what has more bytes than are read."""
    return refusal(uri, f"it has more than {max_bytes:,} bytes; send a smaller one")


def file_path(uri: str, root: Path | None) -> Path:
    """The file that `uri`, a `file:` URI or a path, names below `root`, with links resolved.

    Raises:
        PictureUnavailable: if it lies elsewhere, or names another machine.
    """
    if root is None:
        raise refusal(uri, "set `serving.looking.root` to the folder that files may be read from")
    path = uri
    if match := _SCHEME.match(uri):
        path = uri[match.end() :]
        if path.startswith("//") and not path.startswith("///"):
            raise refusal(uri, "a `file:` URI may not name a host; write file:///folder/name.jpg")
        path = unquote(re.split(r"[?#]", path, maxsplit=1)[0])
    try:
        base = root.expanduser().resolve()
        resolved = (base / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise refusal(uri, "its path cannot be read") from error
    if not resolved.is_relative_to(base):
        raise refusal(uri, "it lies outside the folder that files may be read from")
    return resolved


def https_url(uri: str, hosts: Sequence[str]) -> "URL":
    """The URL that `uri` writes, of a host in the allow-list `hosts`, port 443.

    A host is a name in ASCII. What two readers could take for two hosts is refused: an address in
    any notation, a dot at the end, credentials, a backslash, anything that must be normalised.

    Raises:
        PictureUnavailable: if it is none of these.
    """
    from yarl import URL

    if re.search(r"[\x00-\x20\x7f\\]", uri):
        raise refusal(uri, "a URL may not have spaces, control characters or backslashes")
    authority = match.group(1) if (match := _AUTHORITY.match(uri)) else ""
    if "@" in authority:
        raise refusal(uri, "a URL may not have credentials")
    named = _HOST.fullmatch(authority.lower())
    if named is None or len(named.group(1)) > MAX_HOST_CHARACTERS:
        raise refusal(uri, "its host must be a name in ASCII, without a dot at its end or a port")
    host = named.group(1)
    if not any(_allows(entry.lower(), host) for entry in hosts):
        raise refusal(uri, f"add {host[:100]} to `serving.looking.hosts` if it may be read from")
    try:
        url = URL(uri)
    except ValueError as error:
        raise refusal(uri, "it is no URL") from error
    if (url.scheme, url.raw_host, url.port, url.user) != ("https", host, HTTPS_PORT, None):
        raise refusal(uri, "it can be read in two ways")
    return url


def _allows(entry: str, host: str) -> bool:
    """Whether an entry of the allow-list, a name or `*.` before one, is about `host`."""
    return host.endswith(entry[1:]) if entry.startswith("*.") else host == entry


def object_key(uri: str, buckets: Sequence[str]) -> tuple[str, str]:
    """The beginning out of `buckets` below which `uri` lies, without a slash, and what follows.

    Raises:
        PictureUnavailable: if it lies below none of them, or leads out of it again.
    """
    for bucket in buckets:
        base = bucket.rstrip("/")
        key = uri.removeprefix(f"{base}/")
        if key != uri:
            break
    else:
        raise refusal(uri, "add its bucket to `serving.looking.buckets` if it may be read from")
    if any(part in ("", ".", "..") for part in unquote(key).split("/")) or re.search(r"[?#]", key):
        raise refusal(uri, "what follows the bucket must be the name of an object")
    return base, key


def is_public(address: str) -> bool:
    """Whether `address`, an IPv4 or IPv6 address, belongs to the public internet.

    Not public is what is private, shared, local, reserved, multicast or a cloud's metadata service,
    and what carries another address inside. NAT64's are what they carry, since a network that has
    IPv6 alone reaches all others by them.
    """
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip in _NAT64:
        ip = IPv4Address(int(ip) & 0xFFFF_FFFF)
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_4)
    if ip.scope_id is not None:
        return False
    return ip in _PUBLIC_6 and not any(ip in network for network in _NOT_PUBLIC_6)
