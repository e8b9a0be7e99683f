"""Whose values a category goes by: its own, or where they are few those of all categories under
the same parent in its path `A > B > C`."""

from collections.abc import Iterator
from functools import cache
from itertools import islice

from infra.induction.counting import Category, Counts, Tally

PATH = " > "
MOST_LEVELS = 20
"""Of a path; what is above them is nobody's parent."""


def parents(category: str) -> Iterator[str]:
    """`A > B` and `A` of `A > B > C`."""
    return islice(_above(category), MOST_LEVELS)


def _above(category: str) -> Iterator[str]:
    while PATH in category:
        category = category.rpartition(PATH)[0]
        yield category


class Families:
    """What the categories at and under each parent have together."""

    def __init__(self, tally: Tally) -> None:
        self._limits = tally.limits
        self._members: dict[str, list[Category]] = {}
        self._products: dict[str, int] = {}
        for name, category in tally.categories.items():
            for parent in (name, *parents(name)):
                self._members.setdefault(parent, []).append(category)
                self._products[parent] = self._products.get(parent, 0) + category.products
        # Many small categories ask for the same parents.
        self.filled = cache(self._filled)
        self.common = cache(self._common)

    def products(self, parent: str) -> int:
        """The products of a parent and of all under it."""
        return self._products.get(parent, 0)

    def counts(self, parent: str, attribute: str) -> Counts:
        """What a parent and all under it have in `attribute`."""
        merged = Counts()
        for member in self._members.get(parent, ()):
            if attribute in member.attributes:
                merged.merge(member.attributes[attribute], self._limits.distinct)
        return merged

    def _filled(self, parent: str) -> dict[str, int]:
        """By attribute the products of a parent, or under it, that have it."""
        found: dict[str, int] = {}
        for member in self._members.get(parent, ()):
            for name, counts in member.attributes.items():
                found[name] = found.get(name, 0) + counts.products
        return found

    def _common(self, parent: str) -> tuple[str, ...]:
        """The attributes that a small category under this parent asks for, most filled first."""
        filled = self.filled(parent)
        least = max(self._limits.enough, self._limits.common * self.products(parent))
        return tuple(
            name for name in sorted(filled, key=lambda n: -filled[n]) if filled[name] >= least
        )
