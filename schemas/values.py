"""A value: is it legal, how is it written, and is it the same as another?

On the wire an attribute's value is a list of strings: one entry for a single-valued attribute,
several for a multi-valued one, none for a blank. In a prompt it is one line of text, in which the
values of a multi-valued attribute are joined by `SEPARATOR`.

- `parse_answer` reads a line that a model wrote; `format_answer` writes one.
- `problem` says why a value is illegal, `is_valid` whether it is legal (the paper's valid(a)).
- `matches` says whether a value is right against a reference, by the rules of design.md "Judging".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache

import regex

from schemas.category import BOOLEAN_VALUES, VALUE_SEPARATOR, Attribute, AttributeType

Values = Mapping[str, Sequence[str]]
"""Attribute name to its values; a missing name or an empty list is a blank."""

SEPARATOR = f" {VALUE_SEPARATOR} "
YES, NO = BOOLEAN_VALUES
PATTERN_TIMEOUT_S = 0.05

_NUMBER = re.compile(r"([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[+-]?\.\d+)\s*(.*)", re.DOTALL)


def parse_answer(attribute: Attribute, line: str) -> list[str]:
    """The values that a line of text stands for; an empty line is a blank (an empty list).

    The spelling of an enumerated value, a unit or a boolean is mended to the schema's (letter case
    and white space only), so that `is_valid` can be strict.
    """
    parts = line.split(VALUE_SEPARATOR) if attribute.multi_value else [line]
    values: list[str] = []
    for part in parts:
        value = _canonical(attribute, " ".join(part.split()))
        if value and value not in values:
            values.append(value)
    return values


def format_answer(values: Sequence[str]) -> str:
    """The one line of text that stands for `values`; the inverse of `parse_answer`."""
    return SEPARATOR.join(" ".join(value.split()) for value in values)


def is_valid(attribute: Attribute, values: Sequence[str]) -> bool:
    """Whether `values` is filled and legal: the valid(a_i) of the paper's equation (1)."""
    return bool(values) and problem(attribute, values) is None


def problem(attribute: Attribute, values: Sequence[str]) -> str | None:
    """Why `values` is illegal for `attribute`, or None where it is legal or blank."""
    if attribute.multi_value:
        if len(values) > attribute.max_values:
            return f"{len(values)} values where at most {attribute.max_values} are allowed"
        if any(VALUE_SEPARATOR in value for value in values):
            return f"a value with {VALUE_SEPARATOR!r}, which separates values"
    elif len(values) > 1:
        return f"{len(values)} values for an attribute that takes one"
    of_type = _PROBLEM[attribute.type]
    for value in values:
        reason = of_type(attribute, value) if value and not value.isspace() else "an empty value"
        if reason is not None:
            return reason
    return None


def parse_number(value: str) -> tuple[float, str] | None:
    """Number and unit (as written, maybe empty) of a value such as `1,200 mm`; None for neither."""
    match = _NUMBER.fullmatch(value.strip())
    if match is None:
        return None
    return float(match[1].replace(",", "")), match[2].strip()


def matches(attribute: Attribute, values: Sequence[str], reference: Sequence[str]) -> bool:
    """Whether `values` is right, given the reference that the catalog has.

    Text compares without regard to letter case, white space and outer punctuation; numbers compare
    as numbers, with their units; multi-valued attributes compare as sets. For a single-valued
    attribute several references are alternative spellings, any of which is right.
    """
    if not values or not reference:
        return False
    if values == reference:
        return True
    given = {_comparable(attribute, value) for value in values}
    wanted = {_comparable(attribute, value) for value in reference}
    return given == wanted if attribute.multi_value else given <= wanted


def _canonical(attribute: Attribute, value: str) -> str:
    match attribute.type:
        case AttributeType.ENUM:
            return _same_letters(value, attribute.values)
        case AttributeType.BOOLEAN:
            return _same_letters(value, (YES, NO))
        case AttributeType.NUMBER if attribute.units:
            parsed = parse_number(value)
            if parsed is None or not parsed[1]:
                return value
            unit = _same_letters(parsed[1], attribute.units)
            return f"{value[: len(value) - len(parsed[1])].strip()} {unit}"
        case _:
            return value


def _same_letters(value: str, allowed: Sequence[str]) -> str:
    if value in allowed:
        return value
    folded = _folded(value)
    return next((entry for entry in allowed if _folded(entry) == folded), value)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _enum_problem(attribute: Attribute, value: str) -> str | None:
    if value in attribute.values:
        return None
    if attribute.open:
        return _text_problem(attribute, value)
    return f"{value!r} is not an allowed value"


def _boolean_problem(attribute: Attribute, value: str) -> str | None:
    return None if value in (YES, NO) else f"{value!r} is neither {YES} nor {NO}"


def _number_problem(attribute: Attribute, value: str) -> str | None:
    parsed = parse_number(value)
    if parsed is None:
        return f"{value!r} is no number"
    number, unit = parsed
    if attribute.units and unit not in attribute.units:
        return f"the unit of {value!r} is none of {', '.join(attribute.units)}"
    if not attribute.units and unit:
        return f"{value!r} has a unit where none is asked for"
    if attribute.minimum is not None and number < attribute.minimum:
        return f"{value!r} is below {attribute.minimum:g}"
    if attribute.maximum is not None and number > attribute.maximum:
        return f"{value!r} is above {attribute.maximum:g}"
    return None


def _text_problem(attribute: Attribute, value: str) -> str | None:
    if len(value) > attribute.text_length:
        return f"longer than {attribute.text_length} characters"
    return "more than one line" if "\n" in value else None


def _pattern_problem(attribute: Attribute, value: str) -> str | None:
    if len(value) > attribute.text_length:
        return f"longer than {attribute.text_length} characters"
    pattern = attribute.pattern or ""
    # `re` backtracks without end on patterns such as (a|a)*b, and cannot be interrupted.
    # Not concurrent: to give the interpreter away and wait for it takes longer than the match.
    try:
        matched = _compiled(pattern).fullmatch(value, concurrent=False, timeout=PATTERN_TIMEOUT_S)
    except TimeoutError:
        return f"{value!r} takes too long to match with {pattern!r}"
    return None if matched else f"{value!r} does not match {pattern!r}"


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)


def _date_problem(attribute: Attribute, value: str) -> str | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return f"{value!r} is no date of the form YYYY-MM-DD"
    try:
        date.fromisoformat(value)
    except ValueError:
        return f"{value!r} is not in the calendar"
    return None


_PROBLEM: Mapping[AttributeType, Callable[[Attribute, str], str | None]] = {
    AttributeType.ENUM: _enum_problem,
    AttributeType.BOOLEAN: _boolean_problem,
    AttributeType.NUMBER: _number_problem,
    AttributeType.PATTERN: _pattern_problem,
    AttributeType.TEXT: _text_problem,
    AttributeType.DATE: _date_problem,
}


def _comparable(attribute: Attribute, value: str) -> tuple[float, str] | str:
    text = _folded(value).strip(".,;:'\"")
    if attribute.type is AttributeType.NUMBER:
        parsed = parse_number(text)
        if parsed is not None:
            return parsed
    return text
