"""Where a value that a seller submitted comes from: of each attribute one of four words.

- `typed`: nothing had been suggested for it;
- `changed`: something had, and the seller submitted another value;
- `accepted`: submitted as suggested, by the rule of `schemas.values.matches`;
- `unknown`: something had been suggested, and which of the two it is cannot be said: the schema
  that the review was made under is not known or lacks the attribute, or nobody kept it.

An accepted value says less than a typed one: a seller may have let a wrong suggestion stand.

In short, as the pool keeps them beside what was submitted: a letter for each attribute of it, the
first of its word, in the same order; `-` for a blank.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from schemas.category import Attribute
from schemas.values import Values, matches

Origin = Literal["typed", "changed", "accepted", "unknown"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)
BLANK = "-"
_BY_LETTER: Mapping[str, Origin] = {origin[0]: origin for origin in ORIGINS}


def origins(
    attributes: Mapping[str, Attribute], shown: Values, submitted: Values
) -> dict[str, Origin]:
    """The origin of each value of `submitted`; a blank has none.

    Args:
        attributes: by their names, of the schema that the review was made under.
        shown: what the seller was shown; without a value nothing was suggested.
        submitted: the final listing.
    """
    found: dict[str, Origin] = {}
    for name, values in submitted.items():
        if not values:
            continue
        suggestion = shown.get(name)
        if not suggestion:
            found[name] = "typed"
        elif name not in attributes:
            found[name] = "unknown"
        # Most are kept as they are.
        elif suggestion == values or matches(attributes[name], suggestion, values):
            found[name] = "accepted"
        else:
            found[name] = "changed"
    return found


def in_short(found: Mapping[str, Origin], submitted: Values) -> str:
    """`found`, which are the origins of `submitted`, as a letter for each of its attributes."""
    return "".join([found.get(name, BLANK)[0] for name in submitted])


def in_full(letters: str, submitted: Values) -> dict[str, Origin]:
    """The inverse of `in_short`."""
    return {
        name: _BY_LETTER[letter]
        for name, letter in zip(submitted, letters, strict=True)
        if letter != BLANK
    }
