"""A record's payload read as an event; what cannot be is refused with one sentence.

Strict first, and only what is refused so is read once more as another language may mean it
(`schemas.foreign`). Nothing in a payload takes long, or recursion, to be refused.
"""

import re
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from schemas.errors import EventError
from schemas.events import Event
from schemas.foreign import as_meant, sentence, unframed
from schemas.texts import HALF_CHARACTER

MAX_DEPTH = 32
E = TypeVar("E", bound=Event)


def decode(kind: type[E], payload: bytes | None, max_bytes: int = 1 << 22) -> E:
    """The event of type `kind` that stands in `payload`.

    Raises:
        EventError: with reason `empty`, `too_large`, `not_json`, `too_deep` or `invalid`.
    """
    if not payload:
        raise EventError("empty", "the record has no payload; send a JSON object")
    if len(payload) > max_bytes:
        raise EventError("too_large", f"{len(payload)} bytes where {max_bytes} are allowed")
    content = unframed(payload)
    if _depth_exceeds(content, MAX_DEPTH):
        raise EventError("too_deep", f"nested deeper than {MAX_DEPTH} levels")
    try:
        return _read(kind, content)
    except ValidationError as error:
        first = _first_fault(error)
        where = ".".join(map(str, first["loc"])) or "the record"
        reason = "not_json" if first["type"] == "json_invalid" else "invalid"
        framed = "" if content is payload else " in a Schema Registry frame"
        half = "hex escape" in first["msg"] and b"\\ud" in content.lower()
        hint = f"; {HALF_CHARACTER}" if half else ""
        said = f"{kind.__name__}{framed}: {where}: {sentence(first)}{hint}"
        raise EventError(reason, said) from None


def _read(kind: type[E], content: bytes) -> E:
    """Strictly; only what is refused so is read once more, as another language may mean it."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        # What is no JSON has this one fault; what is, may have a million, each of which costs.
        if error.error_count() == 1 and _first_fault(error)["type"] == "json_invalid":
            raise
    return kind.model_validate_json(to_json(as_meant(kind, from_json(content))))


def _first_fault(error: ValidationError) -> ErrorDetails:
    return error.errors(include_url=False, include_context=False)[0]


_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A JSON string, or what begins like one; linear in time, whatever stands in it."""
_NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)) - set(b'[]{}"'))


def _depth_exceeds(payload: bytes, limit: int) -> bool:
    """Whether brackets nest deeper than `limit`, found without recursion and outside of strings."""
    if payload.count(b"{") + payload.count(b"[") <= limit:
        return False
    if b"\\" in payload:
        payload = _STRING.sub(b"", payload)
    # Two quotes side by side are a string without brackets, or what parts two strings.
    shape = payload.translate(None, _NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    outside = b"".join(shape.split(b'"')[::2])  # every second piece between quotes
    left = outside
    # Each time the innermost go, two levels at most: of an ordinary event soon nothing is left.
    for _ in range(limit // 2):
        before, left = left, left.replace(b"[]", b"").replace(b"{}", b"")
        if not left:
            return False
        if left == before:
            break
    depth = 0
    for bracket in outside:
        if bracket in b"[{":
            depth += 1
            if depth > limit:
                return True
        else:
            depth -= 1
    return False
