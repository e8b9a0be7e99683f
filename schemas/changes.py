"""What one file of category schemas says other than the one before: a dry run of taking it over.

A rename is known by the aliases alone. What has another name and no alias is gone, and something
new is there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from schemas.category import Attribute, CategorySchema, CategorySchemas

NO_MATTER = frozenset(("name", "aliases", "description", "required"))
"""Fields that no value becomes legal or illegal by."""

Place = tuple[str, str | None]
"""A category and one of its attributes, by their names; None for the category itself."""


class Kind(StrEnum):
    """What can become of a category or an attribute."""

    NEW = "new"
    GONE = "gone"
    RENAMED = "renamed"
    CHANGED = "changed"  # what it allows, or a former name that it no longer has


@dataclass(frozen=True)
class Change:
    """One change. `before` is None for what is new, `after` for what is gone."""

    kind: Kind
    before: Place | None
    after: Place | None

    @property
    def place(self) -> Place:
        """By the names after the change, of what is gone by those before."""
        place = self.after or self.before
        assert place is not None
        return place


def changes(before: CategorySchemas, after: CategorySchemas) -> list[Change]:
    """What is other in `after`: what there was in its order, then the new categories."""
    found: list[Change] = []
    kept: set[str] = set()
    for name, former in before.items():
        schema = after.find(name)
        if schema is None:
            found.append(Change(Kind.GONE, (name, None), None))
            continue
        kept.add(schema.category)
        places = (name, None), (schema.category, None)
        if schema.category != name:
            found.append(Change(Kind.RENAMED, *places))
        if not {*former.names} <= {*schema.names}:
            found.append(Change(Kind.CHANGED, *places))
        found += _of_attributes(former, schema)
    return found + [Change(Kind.NEW, None, (name, None)) for name in after if name not in kept]


def _of_attributes(former: CategorySchema, schema: CategorySchema) -> Iterator[Change]:
    kept: set[str] = set()
    for before in former.attributes:
        after, place = schema.find(before.name), (former.category, before.name)
        if after is None:
            yield Change(Kind.GONE, place, None)
            continue
        kept.add(after.name)
        now = (schema.category, after.name)
        if after.name != before.name:
            yield Change(Kind.RENAMED, place, now)
        if _rules(after) != _rules(before) or not {*before.names} <= {*after.names}:
            yield Change(Kind.CHANGED, place, now)
    for attribute in schema.attributes:
        if attribute.name not in kept:
            yield Change(Kind.NEW, None, (schema.category, attribute.name))


def _rules(attribute: Attribute) -> dict[str, object]:
    return {name: rule for name, rule in attribute.content().items() if name not in NO_MATTER}
