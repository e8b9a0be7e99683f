"""Those categories of a source that a catalog uses, or that somebody names.

A category goes by its full name, its id, another name that the source has for it, or the last part
of its full name where only one has that. Letter case, width and white space do not count where
nothing else fits.
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import SchemaError
from schemas.sources.source import PATH_SEPARATOR, Source, SourceCategory
from schemas.texts import comparable

MOST_HINTS = 3
HINTED = 20
"""Unknown categories that get a hint; to look for more of them takes a second each in large
sources."""

_ARROW = re.compile(r"\s*[>›»→]\s*")


@dataclass(frozen=True)
class Unknown:
    """A category that the source lacks: how many products have it, and the nearest names."""

    name: str
    products: int
    nearest: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """What was selected: categories, each with the names by which the catalog calls it."""

    categories: Sequence[tuple[SourceCategory, tuple[str, ...]]]
    unknown: Sequence[Unknown] = ()


def all_of(source: Source) -> Selection:
    """Every category."""
    return Selection([(category, ()) for category in source.categories])


def used_by(source: Source, counts: Mapping[str, int]) -> Selection:
    """The categories that a catalog uses; `counts` are its products by category."""
    finder = _Finder(source)
    called: defaultdict[str, list[str]] = defaultdict(list)
    unknown: list[Unknown] = []
    for name, products in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        found = finder.find(name)
        if found is not None:
            called[found.id].append(name)
        else:
            hints = finder.nearest(name) if len(unknown) < HINTED else ()
            unknown.append(Unknown(name, products, hints))
    chosen = [
        (category, tuple(name for name in called[category.id] if name != category.name))
        for category in source.categories
        if category.id in called
    ]
    return Selection(chosen, unknown)


def named(source: Source, names: Iterable[str]) -> Selection:
    """The categories that go by `names`, and all below them; a name may also be that of a group
    above categories which is none itself, such as a segment of GS1's.

    Raises:
        SchemaError: the source has none of such a name.
    """
    finder = _Finder(source)
    roots = []
    for name in names:
        root = finder.root(name)
        if root is None:
            hints = ", ".join(map(repr, finder.nearest(name)))
            raise SchemaError(
                f"the source has no category {name!r}"
                + (f"; the nearest are {hints}" if hints else "; give a full name or an id")
            )
        roots.append(root)
    return Selection(
        [
            (category, ())
            for category in source.categories
            if any(category.path[: len(root)] == root for root in roots)
        ]
    )


class _Finder:
    """Looks categories up by all that they are called."""

    def __init__(self, source: Source) -> None:
        self._exact: dict[str, SourceCategory] = {}
        several: defaultdict[str, list[SourceCategory]] = defaultdict(list)
        folded: defaultdict[str, list[SourceCategory]] = defaultdict(list)
        # A full name goes before an id that reads the same.
        for category in source.categories:
            self._exact.setdefault(category.name, category)
        for category in source.categories:
            self._exact.setdefault(category.id, category)
        for category in source.categories:
            for name in {category.path[-1], *category.also, *category.former}:
                several[name].append(category)
            for name in {category.name, category.id, category.path[-1], *category.also}:
                folded[_folded(name)].append(category)
        self._only = {name: found[0] for name, found in several.items() if len(found) == 1}
        self._folded = {name: found[0] for name, found in folded.items() if len(found) == 1}
        self._leaves: defaultdict[str, list[str]] = defaultdict(list)
        for category in source.categories:
            self._leaves[comparable(category.path[-1])].append(category.name)

    def find(self, name: str) -> SourceCategory | None:
        """The category that `name` means."""
        return self._exact.get(name) or self._only.get(name) or self._folded.get(_folded(name))

    def root(self, name: str) -> tuple[str, ...] | None:
        """The path of the category or group that `name` means."""
        found = self.find(name)
        if found is not None:
            return found.path
        wanted = _folded(name)
        groups = {
            category.path[:depth]
            for category in self._exact.values()
            for depth in range(1, len(category.path))
            if wanted in (_folded(PATH_SEPARATOR.join(category.path[:depth])),
                          _folded(category.path[depth - 1]))
        }  # fmt: skip
        return groups.pop() if len(groups) == 1 else None

    def nearest(self, name: str) -> tuple[str, ...]:
        """Full names whose last part is like that of `name`, the likest first."""
        leaf = comparable(name.rpartition(">")[2])
        near = difflib.get_close_matches(leaf, self._leaves, n=MOST_HINTS)
        names = [full for one in near for full in self._leaves[one]]
        # Of several with one last part, those whose whole path is the likest.
        names.sort(key=lambda full: -difflib.SequenceMatcher(None, full, name).ratio())
        return tuple(names[:MOST_HINTS])


def _folded(name: str) -> str:
    """`name` as it is compared where nothing else fits: `A>B` and `a › b` are one."""
    return comparable(_ARROW.sub(" > ", name))
