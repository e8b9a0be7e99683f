"""What producers in other languages write for an event, brought to the one form that is read.

- A serialiser that works with a Schema Registry puts a frame of five bytes before the JSON.
- Java's and C#'s write null for a field that is not set.
- A form with one value writes a string where the wire has a list.

Each of these has one meaning only. A number or a boolean as a value has not: 30 may be 30 cm. It is
refused, with a sentence that says what to send. Only what the strict reader has refused is looked
at here, so that an event in its own form costs nothing.
"""

import json
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from schemas.errors import EventError

FRAME_BYTES = 5
"""A zero, which no JSON begins with, and the schema's id as four bytes."""
_SHOWN = 40


def unframed(payload: bytes) -> bytes:
    """The JSON that stands in a Schema Registry frame; what has no frame as it is.

    Raises:
        EventError: Avro, Protobuf or anything else but a JSON object in the frame.
    """
    if payload[0]:
        return payload
    content = payload[FRAME_BYTES:].lstrip()
    if not content.startswith(b"{"):
        schema_id = int.from_bytes(payload[1:FRAME_BYTES], "big")
        raise EventError(
            "not_json",
            f"a Schema Registry frame (schema id {schema_id}) around no JSON object; Avro and "
            "Protobuf are not read: send JSON, with a JSON Schema serialiser or without a frame",
        )
    return content


def as_meant(kind: type[BaseModel], content: Any) -> Any:
    """The JSON object `content`, as an event of type `kind` would have it.

    Null is absent in a field that may be absent and in a field of named values; a string is a list
    of one where a list of strings is meant. Unknown fields, which no reader needs, are left out.
    """
    if not isinstance(content, dict):
        return content
    return {
        name: _meant(field.annotation, content[name])
        for name, field in kind.model_fields.items()
        if name in content and (content[name] is not None or field.is_required())
    }


def _meant(annotation: Any, value: Any) -> Any:
    if isinstance(value, str) and list[str] in (annotation, *get_args(annotation)):
        return [value]
    if isinstance(value, dict) and get_origin(annotation) is dict:
        named = get_args(annotation)[1]
        may_be_null = NoneType in get_args(named)
        return {
            name: _meant(named, entry)
            for name, entry in value.items()
            if entry is not None or may_be_null
        }
    return value


def sentence(fault: ErrorDetails) -> str:
    """What is wrong with the field that a reader refused, and what to send instead."""
    given = fault["input"]
    if fault["type"] == "missing":
        return "missing; send it"
    if given is None:
        return "null where a value is needed; send one"
    wants_text = fault["type"] in ("string_type", "list_type")
    if wants_text and isinstance(given, dict):
        return "an object where strings belong; send a list of strings"
    if wants_text and isinstance(given, bool | int | float):
        text = json.dumps(given)[:_SHOWN]
        instead = '"yes" or "no"' if isinstance(given, bool) else f'"{text}"'
        return f"{text} is no string; send strings, such as {instead}"
    return fault["msg"]
