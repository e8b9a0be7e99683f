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


@lru_cache(maxsize=4096)
def scale(unit: str) -> Scale | None:
    """The scale of `unit`; None where Pint does not know it, or it is no linear one (dB)."""
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
    # Products have bits (Mb, Mbit); none is measured in barns.
    registry.define("bit = [] = b")
    return registry
