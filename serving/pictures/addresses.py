"""What a listing's URI may name: the rules that need no network.

A seller's service writes the URIs, and a worker of ours follows them from inside our network. So
nothing is read but what the settings allow, and what is said of a URI never repeats the parts that
may hold a secret.
"""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from serving.errors import PictureUnavailable

SHOWN_CHARACTERS = 200

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


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


def file_path(uri: str, root: Path | None) -> Path:
    """The file that `uri`, a `file:` URI or a path, names below `root`, with links resolved.

    Raises:
        PictureUnavailable: if it lies elsewhere, or names another machine.
    """
    if root is None:
        raise refusal(uri, "set `serving.looking.root` to the folder that files may be read from")
    path = uri
    if _SCHEME.match(uri):
        parts = urlsplit(uri)
        if parts.netloc:
            raise refusal(uri, "a `file:` URI may not name a host; write file:///folder/name.jpg")
        path = unquote(parts.path)
    try:
        base = root.expanduser().resolve()
        resolved = (base / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise refusal(uri, "its path cannot be read") from error
    if not resolved.is_relative_to(base):
        raise refusal(uri, "it lies outside the folder that files may be read from")
    return resolved
