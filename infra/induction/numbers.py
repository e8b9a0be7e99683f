"""Counted values as numbers: which units they have, and bounds that none of them is near."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from infra.induction.limits import Limits
from schemas.numbers import Number, read_number
from schemas.texts import comparable
from schemas.units import is_another, readings, scale

MOST_UNITS = 20
LONGEST_UNIT = 15
MOST_DIGITS = 12
"""Of a whole number that the engine writes; a longer one is an identifier."""
_POWERS = re.compile(r"(?<=[^\W\d_])[23](?=/|$)")
"""`m2`, `g/m2`; what is raised is plain by then."""
_SIGNS = "%‰°'\"′″"
ROOM = 10
"""A maximum is so many times the largest, and rounded up to a power of ten: it is there for slips
of the keyboard."""
FAR = 1_000
"""How far a number may be outside of the others for its unit to be in doubt: of two readings of a
unit one is a thousand million times the other."""
_Read = list[tuple[Fraction, str, int]]
"""Numbers, their units, and how often each was seen."""


@dataclass(frozen=True)
class Numbers:
    """What values are as numbers: the units (none: bare numbers), bounds in the first of them, how
    many are bare, how many have one of the units, how many are numbers in name only (`007`), and by
    unit those that may be in several (`MW`)."""

    units: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    bare: int
    measured: int
    identifiers: int
    doubtful: Mapping[str, int]

    @property
    def count(self) -> int:
        """Values that are legal with these units."""
        return self.measured if self.units else self.bare


def as_numbers(values: Mapping[str, int], limits: Limits) -> Numbers:
    """What `values`, each with how often it was seen, are as numbers."""
    read: _Read = []
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
    meant = _meant(read, seen)
    doubtful = {unit: seen.pop(unit) for unit in list(seen) if unit not in meant}
    units, spelled = _units(seen, meant, least=max(2, sum(values.values()) // 100))
    measured = sum(times for unit, times in seen.items() if unit in spelled)
    if bare >= measured:
        units = ()
    legal = [
        (value, spelled.get(unit, ""), times)
        for value, unit, times in read
        if (unit in spelled if units else not unit)
    ]
    minimum, maximum = _bounds(legal, units, limits)
    return Numbers(units, minimum, maximum, bare, measured, identifiers, doubtful)


def doubts(values: Mapping[str, int]) -> list[str]:
    """What is to be said of values that are in one of several units, and no others say in which."""
    if not any(len(readings(value.lstrip("+-.,0123456789 "))) > 1 for value in values):
        return []
    return [
        f"{times} values in {unit} may be in {' or '.join(readings(unit))}; write which"
        for unit, times in as_numbers(values, Limits()).doubtful.items()
    ]


def _is_unit(text: str) -> bool:
    """Whether the end of a number may be its unit: nothing, `cm`, `fl oz`, but no `GB DDR3` and no
    prose."""
    return (
        len(text) <= LONGEST_UNIT
        and len(text.split()) <= 2
        and (text[:1].isalpha() or text[:1] in _SIGNS)
        and not any(c.isdigit() or c in "|,;:" for c in _POWERS.sub("", text))
    )


def _is_identifier(value: str) -> bool:
    digits = value.lstrip("0")
    return value.isdecimal() and ((value != "0" and digits != value) or len(value) > MOST_DIGITS)


def _meant(read: _Read, seen: Counter[str]) -> dict[str, str]:
    """By unit as it is written the unit that is meant, as it is usually written. One that may be
    several is there only where its numbers are about as large as the others just as it stands: as
    another, whoever reads the catalog would refuse it."""
    options = {unit: readings(unit) for unit in seen}
    meant = {unit: may_be[0] for unit, may_be in options.items() if len(may_be) == 1}
    if len(meant) == len(options):
        return meant
    others = [(value, meant[unit]) for value, unit, _ in read if unit in meant]
    for unit, may_be in options.items():
        if unit not in meant:
            own = [value for value, written, _ in read if written == unit]
            near = [one for one in may_be if _are_near(own, one, others)]
            if len(near) == 1 and not is_another(unit, near[0]):
                meant[unit] = near[0]
    return meant


def _are_near(own: list[Fraction], unit: str, others: list[tuple[Fraction, str]]) -> bool:
    """Whether numbers in `unit` are about as large as the others of its kind, of which there are
    some."""
    ours = scale(unit)
    if ours is None:
        return False
    known = [(value, scale(other)) for value, other in others]
    theirs = [
        size
        for value, one in known
        if one is not None and one.kind == ours.kind and (size := one.base(value)) > 0
    ]
    sizes = [size for value in own if (size := ours.base(value)) > 0]
    if not theirs or not sizes:
        return False
    return min(theirs) / FAR <= min(sizes) and max(sizes) <= max(theirs) * FAR


def _units(
    seen: Counter[str], meant: Mapping[str, str], least: int
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The units, most frequent first, and which of them each spelling is."""
    by_reader: dict[str, Counter[str]] = {}
    for written, times in seen.items():
        unit = meant[written]
        by_reader.setdefault(comparable(unit), Counter())[unit] += times
    folded: dict[str, str] = {}
    frequency: Counter[str] = Counter()
    for spellings in by_reader.values():
        ordered = sorted(spellings, key=lambda unit: (-spellings[unit], unit))
        for unit in ordered:
            folded[unit] = unit if is_another(unit, ordered[0]) else ordered[0]
            frequency[folded[unit]] += spellings[unit]
    units = sorted(frequency, key=lambda unit: (-frequency[unit], unit))
    known = (unit for unit in units if frequency[unit] >= least or scale(unit) is not None)
    kept = tuple(islice(known, MOST_UNITS))
    spelled = {written: folded[unit] for written, unit in meant.items() if written in seen}
    return kept, {written: unit for written, unit in spelled.items() if unit in kept}


def _bounds(
    legal: _Read, units: tuple[str, ...], limits: Limits
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
