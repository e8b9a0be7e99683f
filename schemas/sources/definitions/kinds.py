"""A leaf as an attribute: which type, and what of its limits a schema can say."""

import math
from collections import Counter
from typing import Any

from pydantic import ValidationError

from schemas.category import Attribute, AttributeType
from schemas.sources.definitions.document import Merged, allowed_of
from schemas.sources.definitions.patterns import whole
from schemas.sources.definitions.walking import Leaf
from schemas.sources.drafts import LONGEST_TEXT, Draft, Value
from schemas.sources.left_out import LeftOut

MOST_VALUES = 100
_NUMBERS = frozenset(("number", "integer"))


def identity(full: tuple[str, ...]) -> str:
    """By which the source knows a leaf: its path as a JSON pointer has it."""
    return "/".join(part.replace("~", "~0").replace("/", "~1") for part in full)


def draft_of(leaf: Leaf, left_out: LeftOut) -> Draft | None:
    """The attribute that `leaf` is; None where it is none, which is counted."""
    where = ".".join(leaf.path)
    fields: dict[str, Any] = {"description": leaf.description or leaf.title}
    if leaf.required:
        fields["required"] = True
    if leaf.most != 1:
        fields["multi_value"] = True
    if leaf.most is not None and leaf.most != 1:
        fields["max_values"] = min(leaf.most, MOST_VALUES)
    types = leaf.schema.types
    values = _current(values_of(leaf.schema), leaf.schema, where, left_out)
    if types == {"boolean"} or (
        values and all(isinstance(v, bool) for v in allowed_of(leaf.schema))
    ):
        return _draft(leaf, AttributeType.BOOLEAN, fields)
    if values and not (types and types <= _NUMBERS and leaf.unit):
        if leaf.schema.open:
            fields |= {"open": True} | _length(leaf.schema, where, left_out)
        return _draft(leaf, AttributeType.ENUM, fields, values)
    if types and types <= _NUMBERS:
        if values:
            left_out.note("limit", "is one of several numbers with a unit: any is right", where)
        return _number(leaf, fields, where, left_out)
    if types == {"string"} or types > {"string"}:
        return _text(leaf, fields, where, left_out)
    left_out.note("attribute", "does not say of which type it is", where)
    return None


def _current(values: list[Value], schema: Merged, where: str, left_out: LeftOut) -> list[Value]:
    """`values` without those that Amazon's `$lifecycle` calls deprecated."""
    lifecycle = schema.keywords.get("$lifecycle")
    written = lifecycle.get("enumDeprecated") if isinstance(lifecycle, dict) else None
    gone = set(map(str, written)) if isinstance(written, list) else set()
    for value in values:
        if value.code in gone:
            left_out.note("value", "is deprecated", f"{where}: {value.name}")
    return [value for value in values if value.code not in gone]


def values_of(schema: Merged) -> list[Value]:
    """The allowed values of `enum` or `const`, by their `enumNames` where there is one for each."""
    codes = [_written(value) for value in allowed_of(schema)]
    names = schema.keywords.get("enumNames")
    if not isinstance(names, list) or len(names) != len(codes):
        return [Value(code, code) for code in codes]
    shown = [name.strip() if isinstance(name, str) and name.strip() else code
             for code, name in zip(codes, names, strict=True)]  # fmt: skip
    times = Counter(shown)
    return [
        Value(code, name if times[name] == 1 else f"{name} ({code})")
        for code, name in zip(codes, shown, strict=True)
    ]


def _written(value: str | int | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _draft(
    leaf: Leaf, kind: AttributeType, fields: dict[str, Any], values: list[Value] | None = None
) -> Draft:
    return Draft(identity(leaf.full), ".".join(leaf.path), kind, values or [], fields)


def _number(leaf: Leaf, fields: dict[str, Any], where: str, left_out: LeftOut) -> Draft:
    keywords = leaf.schema.keywords
    if leaf.unit is not None:
        units = [value.code for value in values_of(leaf.unit)]
        if not units:
            left_out.note("limit", "has a unit of any name: it is a text", where)
            return _draft(leaf, AttributeType.TEXT, fields)
        fields["units"] = tuple(dict.fromkeys(units))
    if leaf.schema.types == {"integer"}:
        left_out.note("limit", "is a whole number: decimals are not refused", where)
    for bound in ("minimum", "maximum"):
        exclusive = keywords.get(f"exclusive{bound.capitalize()}")
        if _is_finite(exclusive):
            left_out.note("limit", "excludes its bound: it is taken as included", where)
            fields[bound] = exclusive
        if _is_finite(keywords.get(bound)):
            fields[bound] = keywords[bound]
    if len(fields.get("units", ())) > 1:
        # A schema converts before it compares; here 5 is 5 of whatever unit stands beside it.
        for bound in ("minimum", "maximum"):
            if fields.get(bound, 0) != 0:
                left_out.note("limit", "is a bound in any of several units: there is none", where)
                del fields[bound]
    if fields.get("minimum", -math.inf) > fields.get("maximum", math.inf):
        left_out.note("limit", "has a minimum above its maximum: it has none", where)
        del fields["minimum"], fields["maximum"]
    return _draft(leaf, AttributeType.NUMBER, fields)


def _is_finite(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _text(leaf: Leaf, fields: dict[str, Any], where: str, left_out: LeftOut) -> Draft:
    keywords = leaf.schema.keywords
    if keywords.get("format") == "date":
        return _draft(leaf, AttributeType.DATE, fields)
    fields |= _length(leaf.schema, where, left_out)
    pattern = keywords.get("pattern")
    if isinstance(pattern, str):
        expression = whole(pattern)
        if _is_taken(expression):
            fields["pattern"] = expression
            return _draft(leaf, AttributeType.PATTERN, fields)
        left_out.note("limit", "has a pattern that a schema refuses: it is a text", where)
    if keywords.get("format") == "date-time":
        left_out.note("limit", "is a time of day: it is a text", where)
    if leaf.schema.types & _NUMBERS:
        left_out.note("limit", "is a text or a number: it is a text", where)
    return _draft(leaf, AttributeType.TEXT, fields)


def _length(schema: Merged, where: str, left_out: LeftOut) -> dict[str, Any]:
    """The greatest length. A character has one byte at least."""
    keywords = schema.keywords
    least = keywords.get("minLength")
    if isinstance(least, int) and least > 1:
        left_out.note("limit", "has a least length: shorter ones are not refused", where)
    lengths = [
        value
        for value in (keywords.get("maxLength"), keywords.get("maxUtf8ByteLength"))
        if isinstance(value, int) and not isinstance(value, bool) and value > 0
    ]
    if not lengths:
        return {}
    if min(lengths) > LONGEST_TEXT:
        left_out.note("limit", f"is longer than {LONGEST_TEXT:,} characters: it is so long", where)
    return {"max_length": min(*lengths, LONGEST_TEXT)}


def _is_taken(pattern: str) -> bool:
    """Whether a schema takes this expression."""
    try:
        Attribute(name="x", type=AttributeType.PATTERN, pattern=pattern)
    except ValidationError:
        return False
    return True
