"""Attributes that apply only where another one has a value: `when: {Attribute: [values]}`.

A condition is judged where the other attribute is asked for, or has a value: of one that was left
out of the question nobody knows, and whoever asked has judged it. Several conditions must all hold.

Whose values decide depends on what is done with the answer:

- measuring and training go by what the seller submitted: what does not apply there is not in |A|;
- a prediction goes by its own values, for nothing else is known then.
"""

from collections.abc import Mapping, Sequence

from schemas.category import Attribute
from schemas.values import Values, matches


def applying(attributes: Sequence[Attribute], values: Values) -> Sequence[Attribute]:
    """Those of `attributes` that apply by `values`."""
    for attribute in attributes:
        if attribute.when:
            break
    else:
        return attributes
    asked = {attribute.name: attribute for attribute in attributes}
    return [a for a in attributes if all(_holds(*one, asked, values) for one in a.when)]


def _holds(
    name: str, wanted: Sequence[str], asked: Mapping[str, Attribute], values: Values
) -> bool:
    condition, given = asked.get(name), values.get(name, ())
    if condition is None:
        return not given or any(value in wanted for value in given)
    return any(
        value == one or matches(condition, [value], [one]) for value in given for one in wanted
    )
