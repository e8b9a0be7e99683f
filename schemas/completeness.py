"""Completeness, gap, deficit and edits of a listing: the quantities that the curation ranks by.

- (1) C(y) = |{a_i : a_i not empty and valid(a_i)}| / |A|
- (2) Gap(x) = C_cat(x) - C_model(x)
- deficit(x) = |{a : the catalog's value is valid, the model's missing or invalid}| / |A|
- edits(x) = |{a : the catalog's value is valid, the model's missing, invalid or another}| / |A|

All are shares of the attributes requested, `attributes`; of none, each is 0. Of two sides, the
catalog's values say which of them apply (`schemas.conditions`); the others are left out of A.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.category import Attribute
from schemas.conditions import applying
from schemas.values import Values, is_valid, matches, mend


@dataclass(frozen=True)
class Scores:
    """All quantities of one listing: `c_catalog` and `c_model` are completeness, equation (1)."""

    c_catalog: float
    c_model: float
    gap: float
    deficit: float
    edits: float


def valid_names(attributes: Sequence[Attribute], values: Values) -> set[str]:
    """The names of the attributes that `values` fills with a legal value."""
    return {a.name for a in attributes if is_valid(a, values.get(a.name, ()))}


def completeness(attributes: Sequence[Attribute], values: Values) -> float:
    """Equation (1): the share of the requested attributes filled with a legal value, 0 to 1."""
    return len(valid_names(attributes, values)) / len(attributes) if attributes else 0.0


def scores(
    attributes: Sequence[Attribute], catalog: Values, model: Values, as_written: bool = False
) -> Scores:
    """All of a listing at once: each value is looked at once, and an accepted one only in one.

    Args:
        as_written: the catalog's values are as a seller wrote them, and count as they are mended.
    """
    attributes = applying(attributes, catalog)
    if not attributes:
        return Scores(0.0, 0.0, 0.0, 0.0, 0.0)
    submitted = predicted = missed = kept = 0
    for attribute in attributes:
        name = attribute.name
        theirs, ours = catalog.get(name, ()), model.get(name, ())
        filled = is_valid(attribute, theirs)
        if as_written and theirs and not filled:
            theirs = mend(attribute, theirs)
            filled = is_valid(attribute, theirs)
        if theirs == ours:
            legal = same = filled
        else:
            legal = is_valid(attribute, ours)
            same = filled and legal and matches(attribute, ours, theirs)
        submitted += filled
        predicted += legal
        missed += filled and not legal
        kept += same
    asked = len(attributes)
    c_catalog, c_model = submitted / asked, predicted / asked
    return Scores(
        c_catalog=c_catalog,
        c_model=c_model,
        gap=c_catalog - c_model,
        deficit=missed / asked,
        edits=(submitted - kept) / asked,
    )


def gap(attributes: Sequence[Attribute], catalog: Values, model: Values) -> float:
    """Equation (2): how much more complete the submission is than the prediction, -1 to 1."""
    return scores(attributes, catalog, model).gap


def deficit(attributes: Sequence[Attribute], catalog: Values, model: Values) -> float:
    """The share of the attributes that the seller filled legally and the model did not, 0 to 1."""
    return scores(attributes, catalog, model).deficit


def edits(attributes: Sequence[Attribute], catalog: Values, model: Values) -> float:
    """The share of the attributes on which the seller added or changed a value, deficit to 1.

    Unlike the deficit it sees predictions that are valid and wrong. A value that the seller took
    away is no edit: a blank is unlabelled and teaches nothing (design.md, "Training").
    """
    return scores(attributes, catalog, model).edits
