"""Whose values a category goes by: its own, or where they are few those of all categories under
the same parent in its path `A > B > C`."""

from collections.abc import Iterator

from infra.induction.counting import Category, Counts, Tally

PATH = " > "


def parents(category: str) -> Iterator[str]:
    """`A > B` and `A` of `A > B > C`."""
    while PATH in category:
        category = category.rpartition(PATH)[0]
        yield category


class Families:
    """What the categories under each parent have together, made when it is asked for."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._members: dict[str, list[Category]] = {}
        for name, category in tally.categories.items():
            for parent in (name, *parents(name)):
                self._members.setdefault(parent, []).append(category)
        self._counts: dict[tuple[str, str], Counts] = {}
        self._products: dict[str, dict[str, int]] = {}

    def products(self, parent: str) -> int:
        """The products of a parent and of all under it."""
        return sum(member.products for member in self._members.get(parent, ()))

    def filled(self, parent: str) -> dict[str, int]:
        """By attribute the products of a parent, or under it, that have it."""
        found = self._products.get(parent)
        if found is None:
            found = self._products[parent] = {}
            for member in self._members.get(parent, ()):
                for name, counts in member.attributes.items():
                    found[name] = found.get(name, 0) + counts.products
        return found

    def counts(self, parent: str, attribute: str) -> Counts:
        """What a parent and all under it have in `attribute`."""
        key = parent, attribute
        if key not in self._counts:
            merged = Counts()
            for member in self._members.get(parent, ()):
                if attribute in member.attributes:
                    merged.merge(member.attributes[attribute], self._tally.limits.distinct)
            self._counts[key] = merged
        return self._counts[key]
