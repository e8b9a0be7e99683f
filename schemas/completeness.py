"""Completeness, gap, deficit and edits of a listing: the quantities that the curation ranks by.

- (1) C(y) = |{a_i : a_i not empty and valid(a_i)}| / |A|
- (2) Gap(x) = C_cat(x) - C_model(x)
- deficit(x) = |{a : the catalog's value is valid, the model's missing or invalid}| / |A|
- edits(x) = |{a : the catalog's value is valid, the model's missing, invalid or another}| / |A|

All are shares of the attributes requested, `attributes`; of none, each is 0.
"""

from collections.abc import Sequence

from schemas.category import Attribute
from schemas.values import Values, is_valid, matches


def valid_names(attributes: Sequence[Attribute], values: Values) -> set[str]:
    """The names of the attributes that `values` fills with a legal value."""
    return {a.name for a in attributes if is_valid(a, values.get(a.name, ()))}


def completeness(attributes: Sequence[Attribute], values: Values) -> float:
    """Equation (1): the share of the requested attributes filled with a legal value, 0 to 1."""
    return len(valid_names(attributes, values)) / len(attributes) if attributes else 0.0


def gap(attributes: Sequence[Attribute], catalog: Values, model: Values) -> float:
    """Equation (2): how much more complete the submission is than the prediction, -1 to 1."""
    return completeness(attributes, catalog) - completeness(attributes, model)


def deficit(attributes: Sequence[Attribute], catalog: Values, model: Values) -> float:
    """The share of the attributes that the seller filled legally and the model did not, 0 to 1."""
    if not attributes:
        return 0.0
    missed = valid_names(attributes, catalog) - valid_names(attributes, model)
    return len(missed) / len(attributes)


def edits(attributes: Sequence[Attribute], catalog: Values, model: Values) -> float:
    """The share of the attributes on which the seller added or changed a value, deficit to 1.

    Unlike the deficit it sees predictions that are valid and wrong. A value that the seller took
    away is no edit: a blank is unlabelled and teaches nothing (design.md, "Training").
    """
    if not attributes:
        return 0.0
    submitted, predicted = valid_names(attributes, catalog), valid_names(attributes, model)
    kept = sum(
        a.name in submitted & predicted and matches(a, model[a.name], catalog[a.name])
        for a in attributes
    )
    return (len(submitted) - kept) / len(attributes)
