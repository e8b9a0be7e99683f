"""Keywords of JSON Schema that a schema of ours has no words for, and what becomes of them."""

from collections.abc import Mapping
from typing import Any

from schemas.sources.left_out import LeftOut

_REQUIRED = ("condition", "makes an attribute required in some cases only")
_UNSAID = {
    "multipleOf": ("limit", "multiples are not asked for"),
    "minUtf8ByteLength": ("limit", "has a least length: shorter ones are not refused"),
    "dependentRequired": _REQUIRED,
    "dependentSchemas": ("condition", "limits an attribute in some cases only"),
    "dependencies": ("condition", "limits an attribute in some cases only"),
    "patternProperties": ("attribute", "has names by a pattern"),
    "propertyNames": ("limit", "limits which names there may be"),
    "minProperties": ("limit", "limits how many names there may be"),
    "maxProperties": ("limit", "limits how many names there may be"),
    "not": ("limit", "excludes some values: they are not refused"),
    "contains": ("limit", "needs one value among several: others are not refused"),
    "prefixItems": ("attribute", "is a list whose places differ"),
}
_FORMATS = frozenset(("date", "date-time"))


def note_unsaid(keywords: Mapping[str, Any], where: str, left_out: LeftOut) -> None:
    """Count what `keywords` say and a schema cannot."""
    for keyword, (kind, reason) in _UNSAID.items():
        if keyword in keywords:
            left_out.note(kind, reason, where)
    written = keywords.get("format")
    if isinstance(written, str) and written not in _FORMATS:
        left_out.note("limit", f"is of the format {written}: this is not checked", where)
    allowed = keywords.get("enum")
    for value in allowed if isinstance(allowed, list) else ():
        if isinstance(value, list | dict):
            left_out.note("value", "is a list or an object", f"{where}: {str(value)[:60]}")
    least = keywords.get("minItems")
    if isinstance(least, int) and least > 1:
        left_out.note("limit", "needs several values: one is not refused", where)
    others = keywords.get("additionalProperties")
    if isinstance(others, dict) and others and keywords.get("properties"):
        left_out.note("attribute", "has any names beside those that are listed", where)
