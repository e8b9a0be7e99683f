"""Why a value is illegal: a short word to count by, and a sentence for a person.

empty, placeholder     it is no value
half_character         a lone surrogate: a text was cut inside of a character
several, separator     more values than the attribute takes, or a `|` in one
not_allowed            none of the allowed words
no_number, ambiguous_number, range, dimensions, unit, bounds
too_long, lines, pattern, date
unknown_attribute      its category has no such attribute
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from schemas.category import Attribute, AttributeType
from schemas.numbers import Number, Unread
from schemas.rules import NO, YES, Rules, does_match
from schemas.texts import HALF_CHARACTER, is_cut, plain
from schemas.units import scale

# Of a value in a sentence.
SHOWN_CHARACTERS = 80
SHOWN_WORDS = 5


@dataclass(frozen=True)
class Refusal:
    """Why a value is illegal: `reason` is one of the words above."""

    reason: str
    sentence: str


def refuse(rules: Rules, value: str) -> Refusal | None:
    """Why one value is illegal, or None where it is legal."""
    if not plain(value):
        return Refusal("empty", "an empty value")
    if is_cut(value):
        return Refusal("half_character", f"{shown(value)}: {HALF_CHARACTER}")
    if rules.is_placeholder(value):
        return Refusal("placeholder", f"{shown(value)} stands for no value; leave it out")
    return _REFUSE[rules.attribute.type](rules, value)


def shown(value: str) -> str:
    """`value` in quotes, cut."""
    return repr(value if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]}…")


def _enum(rules: Rules, value: str) -> Refusal | None:
    if rules.allows(value):
        return None
    if rules.attribute.open:
        return _text(rules, value)
    allowed = rules.attribute.values
    some = ", ".join(word[:SHOWN_CHARACTERS] for word in allowed[:SHOWN_WORDS]) + (
        ", …" if len(allowed) > SHOWN_WORDS else ""
    )
    return Refusal("not_allowed", f"{shown(value)} is not an allowed value; write one of {some}")


def _boolean(rules: Rules, value: str) -> Refusal | None:
    if value in (YES, NO):
        return None
    return Refusal("not_allowed", f"{shown(value)} is neither {YES} nor {NO}")


def _number(rules: Rules, value: str) -> Refusal | None:
    number, units = rules.number(value), rules.attribute.units
    if isinstance(number, Unread):
        return Refusal(number.reason, f"{shown(value)} {number.says}")
    # What is mended ends with the unit as the schema has it; `5 KG` is still to be.
    if units and not (number.unit in rules.units.exact and value.endswith(number.unit)):
        return Refusal("unit", f"the unit of {shown(value)} is none of {', '.join(units)}")
    if not units and number.unit:
        return Refusal("unit", f"{shown(value)} has a unit where none is asked for")
    return _size(rules, value, number)


def _size(rules: Rules, value: str, number: Number) -> Refusal | None:
    attribute = rules.attribute
    lowest = bound_in(attribute, attribute.minimum, number.unit)
    highest = bound_in(attribute, attribute.maximum, number.unit)
    if lowest is not None and number.value < lowest:
        said = f"is below {attribute.minimum:g} {_bound_unit(attribute)}"
    elif highest is not None and number.value > highest:
        said = f"is above {attribute.maximum:g} {_bound_unit(attribute)}"
    else:
        return None
    return Refusal("bounds", f"{shown(value)} {said}".rstrip())


def is_within(rules: Rules, digits: str, unit: str) -> bool:
    """Whether a number that is written as it should be is within the bounds; of up to 15 digits,
    for which floating point is exact enough."""
    if unit not in rules.limits:
        attribute = rules.attribute
        least, most = (bound_in(attribute, b, unit) for b in (attribute.minimum, attribute.maximum))
        rules.limits[unit] = (
            -math.inf if least is None else float(least),
            math.inf if most is None else float(most),
        )
    low, high = rules.limits[unit]
    return low <= float(digits.replace(",", ".")) <= high


def bound_in(attribute: Attribute, bound: float | None, unit: str) -> Fraction | None:
    """A bound of `attribute` in `unit`, None where there is none. It stays as it is where nobody
    knows how the units convert."""
    if bound is None or not math.isfinite(bound):
        return None
    exact, theirs = Fraction(repr(bound)), _bound_unit(attribute)
    if theirs == unit:
        return exact
    given, wanted = scale(theirs), scale(unit)
    if given is None or wanted is None or given.kind != wanted.kind:
        return exact
    return (given.base(exact) - wanted.offset) / wanted.factor


def _bound_unit(attribute: Attribute) -> str:
    return attribute.bound_unit or next(iter(attribute.units), "")


def _text(rules: Rules, value: str) -> Refusal | None:
    if len(value) > rules.attribute.text_length:
        return _too_long(rules, value)
    if "\n" in value:
        return Refusal("lines", f"{shown(value)} is more than one line; write it as one")
    return None


def _too_long(rules: Rules, value: str) -> Refusal:
    most = rules.attribute.text_length
    return Refusal("too_long", f"{shown(value)} is longer than {most} characters; shorten it")


def _pattern(rules: Rules, value: str) -> Refusal | None:
    if len(value) > rules.attribute.text_length:
        return _too_long(rules, value)
    pattern = rules.attribute.pattern or ""
    match does_match(pattern, value):
        case True:
            return None
        case None:
            return Refusal("pattern", f"{shown(value)} takes too long to match with {pattern!r}")
        case _:
            return Refusal("pattern", f"{shown(value)} does not match {pattern!r}")


def _date(rules: Rules, value: str) -> Refusal | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return Refusal("date", f"{shown(value)} is no date of the form YYYY-MM-DD")
    try:
        date.fromisoformat(value)
    except ValueError:
        return Refusal("date", f"{shown(value)} is not in the calendar")
    return None


_REFUSE: Mapping[AttributeType, Callable[[Rules, str], Refusal | None]] = {
    AttributeType.ENUM: _enum,
    AttributeType.BOOLEAN: _boolean,
    AttributeType.NUMBER: _number,
    AttributeType.PATTERN: _pattern,
    AttributeType.TEXT: _text,
    AttributeType.DATE: _date,
}
