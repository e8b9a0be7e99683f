"""What formats share: columns found by their names without letter case."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from infra.importing.map import AttributeColumn, Source

Columns = Sequence[str]


class Names:
    """The columns of a table, found by name without letter case; `_` and space are the same."""

    def __init__(self, columns: Columns) -> None:
        self.columns = tuple(columns)
        self._by_name = {plain(name): name for name in reversed(self.columns)}

    def has(self, *names: str) -> bool:
        """Whether all of `names` are columns."""
        return all(plain(name) in self._by_name for name in names)

    def find(self, *names: str) -> str | None:
        """The first of `names` that is a column, as it is written there."""
        return next((self._by_name[n] for n in map(plain, names) if n in self._by_name), None)

    def all(self, *names: str) -> Source | None:
        """Those of `names` that are columns, to be joined."""
        found = [self._by_name[n] for n in map(plain, names) if n in self._by_name]
        return None if not found else found[0] if len(found) == 1 else tuple(found)

    def beginning(self, *starts: str) -> tuple[str, ...]:
        """The columns whose names begin so, in their order."""
        begin = tuple(map(plain, starts))
        return tuple(name for name in self.columns if plain(name).startswith(begin))

    def attributes(self, names: Iterable[tuple[str, str]]) -> dict[str, AttributeColumn]:
        """Attributes for those of (column, attribute) that are columns."""
        found = ((self.find(column), name) for column, name in names)
        return {name: AttributeColumn(column=column) for column, name in found if column}


@lru_cache(10_000)
def plain(name: str) -> str:
    """`name` as columns are compared."""
    return " ".join(name.casefold().replace("_", " ").split())


def used(*sources: Source | None) -> set[str]:
    """The columns that sources name."""
    return {
        name
        for source in sources
        if source
        for name in ([source] if isinstance(source, str) else source)
    }
