"""A source of schemas: categories, and the attributes of each, made when they are asked for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from schemas.sources.drafts import Draft
from schemas.sources.left_out import LeftOut
from schemas.texts import one_line

PATH_SEPARATOR = " > "


@dataclass(frozen=True)
class SourceCategory:
    """A category of a source.

    id: by which the source knows it. path: names from the root down. also: other names by which
    products may call it. former: names that it had before.
    """

    id: str
    path: tuple[str, ...]
    drafts: Callable[[], Iterable[Draft]]
    also: tuple[str, ...] = ()
    former: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The full name, `Apparel > Shirts`."""
        return PATH_SEPARATOR.join(map(one_line, self.path))


@dataclass(frozen=True)
class Source:
    """The categories of a source, in its order, and what was left out while it was read."""

    categories: Sequence[SourceCategory]
    left_out: LeftOut
