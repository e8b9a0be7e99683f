"""Counted values as numbers: which units they have, and bounds that none of them is near."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from infra.induction.limits import Limits
from schemas.numbers import Number, read_number
from schemas.texts import comparable
from schemas.units import is_another, scale

MOST_UNITS = 20
LONGEST_UNIT = 15
MOST_DIGITS = 12
"""Of a whole number that the engine writes; a longer one is an identifier."""
_SIGNS = "%‰°'\"′″"
ROOM = 10
"""A maximum is so many times the largest, and rounded up to a power of ten: it is there for slips
of the keyboard."""


@dataclass(frozen=True)
class Numbers:
    """What values are as numbers: the units (none: bare numbers), bounds in the first of them, how
    many are bare, how many have one of the units, and how many are numbers in name only (`007`)."""

    units: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    bare: int
    measured: int
    identifiers: int

    @property
    def count(self) -> int:
        """Values that are legal with these units."""
        return self.measured if self.units else self.bare


def as_numbers(values: Mapping[str, int], limits: Limits) -> Numbers:
    """What `values`, each with how often it was seen, are as numbers."""
    read: list[tuple[Fraction, str, int]] = []
    identifiers = 0
    for value, times in values.items():
        number = read_number(value)
        if not isinstance(number, Number) or not _is_unit(number.unit):
            continue
        identifiers += times * _is_identifier(value)
        read.append((number.value, number.unit, times))
    seen: Counter[str] = Counter()
    for _, unit, times in read:
        seen[unit] += times
    bare = seen.pop("", 0)
    units, spelled = _units(seen, least=max(2, sum(values.values()) // 100))
    measured = sum(times for unit, times in seen.items() if unit in spelled)
    if bare >= measured:
        units = ()
    legal = [
        (value, spelled.get(unit, ""), times)
        for value, unit, times in read
        if (unit in spelled if units else not unit)
    ]
    minimum, maximum = _bounds(legal, units, limits)
    return Numbers(units, minimum, maximum, bare, measured, identifiers)


def _is_unit(text: str) -> bool:
    """Whether the end of a number may be its unit: nothing, `cm`, `fl oz`, but no `GB DDR3` and no
    prose."""
    return (
        len(text) <= LONGEST_UNIT
        and len(text.split()) <= 2
        and (text[:1].isalpha() or text[:1] in _SIGNS)
        and not any(c.isdigit() or c in "|,;:" for c in text)
    )


def _is_identifier(value: str) -> bool:
    digits = value.lstrip("0")
    return value.isdecimal() and ((value != "0" and digits != value) or len(value) > MOST_DIGITS)


def _units(seen: Counter[str], least: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """The units, most frequent first, and which of them each spelling is."""
    by_reader: dict[str, Counter[str]] = {}
    for unit, times in seen.items():
        by_reader.setdefault(comparable(unit), Counter())[unit] += times
    spelled: dict[str, str] = {}
    frequency: Counter[str] = Counter()
    for spellings in by_reader.values():
        ordered = sorted(spellings, key=lambda unit: (-spellings[unit], unit))
        for unit in ordered:
            meant = unit if is_another(unit, ordered[0]) else ordered[0]
            spelled[unit] = meant
            frequency[meant] += spellings[unit]
    units = sorted(frequency, key=lambda unit: (-frequency[unit], unit))
    known = (unit for unit in units if frequency[unit] >= least or scale(unit) is not None)
    kept = tuple(islice(known, MOST_UNITS))
    return kept, {unit: meant for unit, meant in spelled.items() if meant in kept}


def _bounds(
    legal: list[tuple[Fraction, str, int]], units: tuple[str, ...], limits: Limits
) -> tuple[float | None, float | None]:
    """A minimum of 0 where no number is below it, and a maximum where enough were seen; none where
    the units do not convert by a factor."""
    factors = _factors(units)
    if not legal or factors is None:
        return None, None
    sizes = [value * factors[unit] for value, unit, _ in legal]
    minimum = 0.0 if min(sizes) >= 0 else None
    largest = max(sizes)
    if largest <= 0 or sum(times for *_, times in legal) < limits.bounded:
        return minimum, None
    return minimum, 10.0 ** math.ceil(math.log10(largest * ROOM))


def _factors(units: tuple[str, ...]) -> dict[str, Fraction] | None:
    """By unit how many of the first one it is."""
    if len(units) <= 1:
        return dict.fromkeys(units or ("",), Fraction(1))
    scales = [scale(unit) for unit in units]
    known = [one for one in scales if one is not None]
    if (
        len(known) < len(units)
        or len({one.kind for one in known}) > 1
        or any(one.offset for one in known)
    ):
        return None
    return {unit: one.factor / known[0].factor for unit, one in zip(units, known, strict=True)}
