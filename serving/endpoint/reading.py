"""What an endpoint is asked, and what its answer says: text in, text and values out. No I/O.

It is asked for one JSON object a listing, from attribute name to value, and the object is read as
leniently as our own model's answers. It has to be whole: of half an object nothing is guessed.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.category import Attribute, AttributeType
from schemas.events import ValueLists
from schemas.values import NO, SEPARATOR, YES, is_valid, parse_answer
from serving.examples import attribute_lines
from serving.generation import GenerationRequest, GenerationResult
from serving.prompt_texts import trunk_text

INSTRUCTION = (
    "You fill in the attributes of a product from its text. Answer with one JSON object and "
    "nothing else: each attribute's name and its value, null where it cannot be told. Where "
    "allowed values stand in parentheses, use one of them exactly as written."
)
MAX_INVALID_CHARACTERS = 200
MOST_LISTED = 200
"""Allowed values that a JSON Schema names; beyond them any text is, and is checked as ever."""
MAX_TOKENS = 1 << 31
"""No answer has as many: such a count is none, and no 32-bit column would hold it."""


@dataclass(frozen=True)
class Reply:
    """What came back for one attempt.

    `answer` is None where the text holds no whole JSON object, and `text` where there is no text at
    all. The counts of tokens are the endpoint's own, None where it gives none. `cut`: the text
    ended at `max_tokens`.
    """

    text: str | None
    answer: Mapping[str, Any] | None
    tokens_read: int | None
    tokens_written: int | None
    cut: bool


def messages(request: GenerationRequest, max_characters: int) -> list[dict[str, str]]:
    """The conversation that asks `request`, its product cut to `max_characters`."""
    asked = "\n".join(f"- {line}" for line in attribute_lines(request.attributes))
    product = trunk_text(request.listing, max_characters)
    return [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": f"{product}\n\nAttributes:\n{asked}"},
    ]


def response_format(kind: str, attributes: Iterable[Attribute]) -> dict[str, Any] | None:
    """What the answer is held to: None for `text`, any object for `json_object`, and for
    `json_schema` one member of each attribute, in their order, null where it cannot be told."""
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": kind}
    members = {attribute.name: _member(attribute) for attribute in attributes}
    schema = {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }
    return {"type": kind, "json_schema": {"name": "attributes", "schema": schema}}


def _member(attribute: Attribute) -> dict[str, Any]:
    """The JSON Schema of an attribute's answer."""
    listed = attribute.type is AttributeType.ENUM and not attribute.open
    if listed and len(attribute.values) <= MOST_LISTED:
        value: dict[str, Any] = {"enum": list(attribute.values)}
    elif attribute.type is AttributeType.BOOLEAN:
        value = {"type": "boolean"}
    else:
        # A small model that is bound to JSON would fill a text to the end of all tokens.
        value = {"type": "string", "maxLength": min(attribute.text_length, MAX_INVALID_CHARACTERS)}
    if attribute.multi_value:
        return {"type": "array", "items": value, "maxItems": attribute.max_values}
    return {"anyOf": [value, {"type": "null"}]}


def read(payload: bytes) -> Reply:
    """What `payload`, the body of a reply, says; whatever it is."""
    reply = _json(payload)
    usage = reply.get("usage") if isinstance(reply, dict) else None
    choice = _choice(reply)
    text = _text(choice)
    return Reply(
        text=text,
        answer=None if text is None else _object(text),
        tokens_read=_count(usage, "prompt_tokens"),
        tokens_written=_count(usage, "completion_tokens"),
        cut=choice.get("finish_reason") == "length",
    )


def as_result(
    reply: Reply, request: GenerationRequest, adapter_id: str, adapter_hash: str, seconds: float
) -> GenerationResult:
    """`reply` as an answer to `request`; without an object in it, a blank one.

    `tokens_computed` are the tokens read and written, `logits_computed` those written, as the
    endpoint counts them; there is no confidence.
    """
    values: ValueLists = {}
    invalid = {}
    for attribute in request.attributes:
        given = _values(attribute, (reply.answer or {}).get(attribute.name))
        if is_valid(attribute, given):
            values[attribute.name] = given
        elif given:
            invalid[attribute.name] = SEPARATOR.join(given)[:MAX_INVALID_CHARACTERS]
    written = reply.tokens_written or 0
    return GenerationResult(
        values=values,
        invalid=invalid,
        confidence={},
        adapter_id=adapter_id,
        adapter_hash=adapter_hash,
        batches=1,
        forward_passes=0,
        tokens_computed=(reply.tokens_read or 0) + written,
        logits_computed=written,
        seconds=seconds,
    )


def _choice(reply: Any) -> Mapping[str, Any]:
    try:
        choice = reply["choices"][0]
    except (KeyError, IndexError, TypeError):
        return {}
    return choice if isinstance(choice, dict) else {}


def _text(choice: Mapping[str, Any]) -> str | None:
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    return text if isinstance(text, str) else None


def _object(text: str) -> Mapping[str, Any] | None:
    """The JSON object in `text`, also one in a code fence or after thoughts."""
    said = text.rpartition("</think>")[2]
    found = _json(said[said.find("{") : said.rfind("}") + 1])
    return found if isinstance(found, dict) else None


def _values(attribute: Attribute, given: Any) -> list[str]:
    parts = given if isinstance(given, list) else [given]
    return parse_answer(attribute, SEPARATOR.join(filter(None, map(_line, parts))))


def _line(given: Any) -> str:
    if isinstance(given, bool):
        return YES if given else NO
    if not isinstance(given, str | int | float):
        return ""
    # JSON can have half of a character, which no event can.
    return str(given).encode("utf-8", "replace").decode()


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _count(usage: Any, name: str) -> int | None:
    count = usage.get(name) if isinstance(usage, dict) else None
    known = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < MAX_TOKENS
    return count if known else None
