"""Units of measure, by Pint: which are of one kind, and how they convert.

Pint is imported with the first question, which takes most of a second: an attribute whose values
all have the one unit that it allows never asks. A unit that Pint does not know has no scale, and is
only equal to itself. Scales are exact fractions, so that 1 in and 25.4 mm are equal and not nearly.
"""

import logging
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

# One word, or words joined as in km/h: of `fl oz` Pint makes a product.
_READ_BY_PINT = re.compile(
    r"[^\W\d_]{1,30}|°[^\W\d_]{1,10}|%|[^\W\d_]{1,20}[²³]|[^\W\d_]{1,20}/[^\W\d_]{1,20}"
)

# Whole texts are in capitals, or begin with one. Nothing that is sold is measured in megalitres,
# megagrams or millihertz: in whatever letter case, these are the units.
_USUAL = {
    unit.casefold(): unit
    for unit in (
        "ml", "cl", "dl", "mm", "cm", "km", "mg", "g", "kg", "lb", "oz", "in", "ft",
        "mA", "mAh", "Ah", "mV", "kV", "kW", "kWh", "Wh", "Hz", "kHz", "MHz", "GHz", "pF", "nF",
    )
}  # fmt: skip
# Things are sold in thousandths and in millions of these. Small letters and capitals together are
# no accident.
_IN_BOTH: dict[str, tuple[str, ...]] = {
    one.casefold(): (one, f"M{one[1:]}") for one in ("mW", "mWh", "mJ")
}


@dataclass(frozen=True)
class Scale:
    """A unit in those of its kind: `kind` is the base unit, in which 1 is `factor`, and 0
    `offset`."""

    kind: str
    factor: Fraction
    offset: Fraction = Fraction(0)

    def base(self, number: Fraction) -> Fraction:
        """`number` of this unit in the base unit."""
        return number * self.factor + self.offset


def scale(unit: str) -> Scale | None:
    """The scale of `unit`; None where Pint does not know it, or it is no linear one (dB)."""
    return _as_written(usual(unit))


def usual(unit: str) -> str:
    """`unit` as it is usually written, where its letter case is an accident: `ML` is ml, and `KG`
    kg. What means the same as it stands stays: `mL`."""
    meant = _USUAL.get(unit.casefold(), unit)
    return unit if meant == unit or _as_written(meant) == _as_written(unit) else meant


def readings(unit: str) -> tuple[str, ...]:
    """The units that `unit` may be: `MW` is mW in a text that is in capitals."""
    both = _IN_BOTH.get(unit.casefold(), ())
    careful = unit in both and not unit.isupper()
    return both if both and not careful else (usual(unit),)


@lru_cache(maxsize=4096)
def _as_written(unit: str) -> Scale | None:
    if not _READ_BY_PINT.fullmatch(unit):
        return None
    registry = _registry()
    try:
        parsed = registry.Unit(unit)
        zero, one, two = (registry.Quantity(Fraction(n), parsed).to_root_units() for n in (0, 1, 2))
        offset, factor = Fraction(zero.magnitude), Fraction(one.magnitude - zero.magnitude)
        if Fraction(two.magnitude) != offset + 2 * factor or factor == 0:
            return None
        kind = " ".join(f"{name}^{power}" for name, power in sorted(one.unit_items()))
    except Exception:  # Pint has many, and what it cannot do it does not know
        return None
    if kind == "bit^1" and factor < 1:  # `mb` is no thousandth of a bit
        return None
    return Scale(kind, factor, offset)


def is_another(written: str, unit: str) -> bool:
    """Whether `written` is known as a unit of the same kind as `unit`, of another size: `MW` is
    not `mW`, and `Mb` is not `MB`."""
    theirs, ours = scale(written), scale(unit)
    return theirs is not None and ours is not None and theirs.kind == ours.kind and theirs != ours


@cache
def _registry() -> Any:
    import pint

    # It warns where a name is defined anew.
    logging.getLogger("pint").setLevel(logging.ERROR)
    registry: Any = pint.UnitRegistry(non_int_type=Fraction, cache_folder=None)
    # Products have bits (Mb, Gb, Mbit); none is measured in barns or gilberts.
    registry.define("bit = [] = b")
    registry.define("gigabit = 1000000000 * bit = Gb")
    return registry
