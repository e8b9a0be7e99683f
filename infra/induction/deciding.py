"""Counted values to an attribute: its type and limits, and why.

The first kind that fits is taken: boolean, date, number, enum, pattern, text. What is decided is
one of the schema's attributes at any rate: whatever a kind cannot say becomes a text.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from infra.induction.counting import LONGEST_KEPT, Counts
from infra.induction.limits import Limits
from infra.induction.numbers import as_numbers, doubts
from infra.induction.patterns import is_named_identifier, pattern_of
from schemas.category import (
    BOOLEAN_VALUES,
    DEFAULT_MAX_VALUES,
    DEFAULT_TEXT_LENGTH,
    Attribute,
    AttributeType,
)
from schemas.texts import comparable
from schemas.values import NO, YES, is_valid, mend

STEP = 10
"""Lengths are rounded up to a multiple."""
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
MOST_LENGTH = 200
"""Of a text, unless more than one of a hundred values is longer."""


@dataclass(frozen=True)
class Decision:
    """An attribute as it was decided, and why."""

    attribute: Attribute
    why: str


def decide(name: str, counts: Counts, limits: Limits) -> Decision:
    """What an attribute called `name` is that has these values, of which there is at least one."""
    several = _several(counts, limits)
    for kind in (_boolean, _date, _number, _enum, _pattern):
        found = kind(name, counts, limits)
        if found is None:
            continue
        fields, why = found
        try:
            attribute = Attribute.model_validate({"name": name, **fields, **several})
        except ValidationError:
            continue
        return Decision(attribute, _in_full(why, counts, several))
    fields, why = _text(name, counts, limits)
    attribute = Attribute.model_validate({"name": name, **fields, **several})
    return Decision(attribute, _in_full(why, counts, several))


def legal_share(attribute: Attribute, values: Mapping[str, int]) -> float:
    """The share of `values` that are legal one by one, once they are mended."""
    legal = sum(
        times for value, times in values.items() if is_valid(attribute, mend(attribute, [value]))
    )
    return legal / max(1, sum(values.values()))


_Fields = dict[str, object]
_Found = tuple[_Fields, str] | None


def _boolean(name: str, counts: Counts, limits: Limits) -> _Found:
    words = Counter[str]()
    for value, times in counts.values.items():
        words[comparable(value)] += times
    said = words[YES] + words[NO]
    others = [times for word, times in words.items() if word not in BOOLEAN_VALUES]
    if said < limits.agreed * counts.total or max(others, default=0) > 1:
        return None
    parts = " and ".join(f"{words[word]} {word}" for word in BOOLEAN_VALUES if words[word])
    return {"type": AttributeType.BOOLEAN}, f"{parts} of {counts.total} values"


def _date(name: str, counts: Counts, limits: Limits) -> _Found:
    attribute = Attribute(name=name, type=AttributeType.DATE)
    dates = {value: n for value, n in counts.values.items() if _ISO.fullmatch(value)}
    share = legal_share(attribute, dates) * sum(dates.values()) / max(1, counts.values.total())
    if share < limits.agreed:
        return None
    return {"type": AttributeType.DATE}, f"{share:.0%} of the values are dates"


def _number(name: str, counts: Counts, limits: Limits) -> _Found:
    kept = counts.values.total()
    if is_named_identifier(name) or not kept:
        return None
    numbers = as_numbers(counts.values, limits)
    if numbers.count < limits.agreed * kept or numbers.identifiers > (1 - limits.agreed) * kept:
        return None
    fields: _Fields = {
        "type": AttributeType.NUMBER,
        "units": numbers.units,
        "minimum": numbers.minimum,
        "maximum": numbers.maximum,
    }
    units = f" in {', '.join(numbers.units)}" if numbers.units else " without a unit"
    why = f"{numbers.count / kept:.0%} of the values are numbers{units}"
    if numbers.maximum is not None:
        why += f"; all are far below {numbers.maximum:g}"
    return fields, why


def _enum(name: str, counts: Counts, limits: Limits) -> _Found:
    if is_named_identifier(name):
        return None
    spelled = _spelled(counts.values)
    cut = 2 if counts.total >= limits.cut_from else 1
    ordered = sorted(spelled, key=lambda value: (-spelled[value], value))
    options = [value for value in ordered if spelled[value] >= cut][: limits.options]
    covered = sum(spelled[value] for value in options)
    if (
        not options
        or covered < limits.covered * counts.total
        or covered < max(limits.fewest, limits.repeats * len(options))
    ):
        return None
    words = "1 value is" if len(options) == 1 else f"{len(options)} values are"
    why = f"{words} {covered / counts.total:.0%} of what was seen"
    if left := len(spelled) - len(options):
        why += f"; {left} rare {'one is' if left == 1 else 'ones are'} cut off"
    return {"type": AttributeType.ENUM, "values": tuple(options)}, why


def _pattern(name: str, counts: Counts, limits: Limits) -> _Found:
    named = is_named_identifier(name)
    if not named and len(counts.values) < limits.coded:
        return None
    found = pattern_of(counts.values)
    kept = counts.values.total()
    if found is None or found[1] < limits.agreed * kept:
        return None
    pattern, times = found
    fields: _Fields = {"type": AttributeType.PATTERN, "pattern": pattern}
    return fields, f"{times / kept:.0%} of the values have the form {pattern}"


def _text(name: str, counts: Counts, limits: Limits) -> tuple[_Fields, str]:
    length = _length(counts, limits)
    different = f"{len(counts.values)} different values{' or more' * bool(counts.rest)}"
    if is_named_identifier(name):
        why = "its name is an identifier's, and its values have no one form"
    elif counts.total < limits.fewest:
        why = f"it has too few values to say more ({counts.total})"
    else:
        why = f"{different} among {counts.total} are too many to list, and of no one kind"
    if counts.rest or max(map(len, counts.values), default=0) > length:
        why += f"; some may be longer than {length} characters"
    return {"type": AttributeType.TEXT, "max_length": length}, why


def _length(counts: Counts, limits: Limits) -> int:
    """The length that all values have room in, with some for others; or that 99 of 100 have where
    the longest are very long."""
    lengths = Counter[int]()
    for value, times in counts.values.items():
        lengths[len(value)] += times
    longest = max(lengths, default=LONGEST_KEPT)
    if longest > MOST_LENGTH:
        left = counts.values.total() // 100
        for length in sorted(lengths, reverse=True):
            left -= lengths[length]
            longest = max(length, MOST_LENGTH)
            if left < 0 or length <= MOST_LENGTH:
                break
    else:
        longest = min(MOST_LENGTH, longest + longest // 4)
        if counts.total < limits.enough:
            longest = max(longest, DEFAULT_TEXT_LENGTH)
    return -(-longest // STEP) * STEP


def _spelled(values: Mapping[str, int]) -> dict[str, int]:
    """The values a reader tells apart, each in its most frequent spelling, with all its counts."""
    spellings: dict[str, list[str]] = {}
    for value in values:
        spellings.setdefault(comparable(value), []).append(value)
    return {
        min(same, key=lambda value: (-values[value], value)): sum(values[value] for value in same)
        for same in spellings.values()
    }


def _several(counts: Counts, limits: Limits) -> _Fields:
    """Whether it takes several values, and how many: those of 99 of 100 products."""
    products = sum(counts.several.values())
    having = products - counts.several[1]
    if having <= limits.several * products:
        return {}
    left, most = products // 100, 1
    for most in sorted(counts.several, reverse=True):
        left -= counts.several[most]
        if left < 0:
            break
    return {"multi_value": True, "max_values": max(DEFAULT_MAX_VALUES, most)}


def _in_full(why: str, counts: Counts, several: _Fields) -> str:
    """`why` with what is to be said of units in doubt and of products that have several values."""
    parts = [why, *doubts(counts.values)]
    products = sum(counts.several.values())
    having = products - counts.several[1]
    if having:
        only = "" if several else "only "
        parts.append(f"{only}{having} of {products} products have several")
    return "; ".join(parts)
