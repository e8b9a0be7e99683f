"""Where a value that a seller submitted comes from: of each attribute one of four words.

- `typed`: nothing had been suggested for it;
- `changed`: something had, and the seller submitted another value;
- `accepted`: submitted as suggested, by the rule of `schemas.values.matches`;
- `unknown`: something had been suggested, and which of the two it is cannot be said: the schema
  that the review was made under is not known or lacks the attribute, or nobody kept it.

An accepted value says less than a typed one: a seller may have let a wrong suggestion stand.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from schemas.category import Attribute
from schemas.values import Values, matches

Origin = Literal["typed", "changed", "accepted", "unknown"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)


def origins(
    attributes: Mapping[str, Attribute], shown: Values, submitted: Values
) -> dict[str, Origin]:
    """The origin of each value of `submitted`; a blank has none.

    Args:
        attributes: by their names, of the schema that the review was made under.
        shown: what the seller was shown; without a value nothing was suggested.
        submitted: the final listing.
    """
    return {
        name: _origin(attributes.get(name), shown.get(name), values)
        for name, values in submitted.items()
        if values
    }


def _origin(
    attribute: Attribute | None, shown: Sequence[str] | None, submitted: Sequence[str]
) -> Origin:
    if not shown:
        return "typed"
    if attribute is None:
        return "unknown"
    # Most are kept as they are.
    same = shown == submitted or matches(attribute, shown, submitted)
    return "accepted" if same else "changed"
