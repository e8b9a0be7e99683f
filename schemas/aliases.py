"""Values that stand under an attribute's former name, under the one in force.

Whoever renames an attribute names what it was called in its `aliases`. What requests, predictions
and reviews say is never rewritten: it is looked up by these names wherever it is measured.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from schemas.category import Attribute, CategorySchema

V = TypeVar("V")


def in_force(schema: CategorySchema, values: Mapping[str, V]) -> Mapping[str, V]:
    """`values`, by attribute, under the names in force; what is under no alias stays as it is.

    Of an attribute that is filled under several names the one in force counts, then the alias that
    the schema has first.
    """
    if not schema.renamed:
        return values
    found = dict(values)
    for attribute in schema.renamed:
        for alias in attribute.aliases:
            former = found.pop(alias, None)
            if former and not found.get(attribute.name):
                found[attribute.name] = former
    return found


def under_all_names(schema: CategorySchema, values: Mapping[str, V]) -> Mapping[str, V]:
    """`values`, by attribute, under each name that it has or had."""
    if not schema.renamed:
        return values
    found = dict(in_force(schema, values))
    for attribute in schema.renamed:
        if attribute.name in found:
            found.update(dict.fromkeys(attribute.aliases, found[attribute.name]))
    return found


def asked_for(schema: CategorySchema, names: Iterable[str] | None) -> list[Attribute]:
    """The attributes called `names`, now or before, that the category has; all for None.

    In the order of `names`, each once.
    """
    if names is None:
        return list(schema.attributes)
    found = (schema.find(name) for name in names)
    return list({attribute.name: attribute for attribute in found if attribute}.values())
