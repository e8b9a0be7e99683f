"""What was read of a catalog and what was left out, counted; whether it is of use."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from infra.catalogs.entries import CatalogError
from infra.catalogs.product import Product

MOST_REJECTED = 0.1
"""The share of a catalog's lines that may be wrong: where it is more, not single products are
wrong but what wrote the file."""

REFUSED = "values that the schema refuses"
WRONG = "lines that are no product"
NOT_THERE = "images that are no files in the catalog's folder"
NO_CATEGORY = "products of categories that the schema lacks"
NO_ATTRIBUTE = "values of attributes that their category lacks"
NOT_TO_REQUEST = "requested attributes that their category lacks"
PLACEHOLDERS = "values that stand for none, such as N/A"
NOTHING_ASKED = "products of which no attribute is asked for"
"""What is left out."""

SPELLED_CATEGORIES = "categories are written otherwise than in the schema and taken as meant"
SPELLED_ATTRIBUTES = "attributes are written otherwise than in the schema and taken as meant"
HALVES = "half of a character is taken out of title or description"
"""What is mended."""


@dataclass
class Reading:
    """What was read of a catalog.

    lines: those that are not empty. wrong: those that are no product. dropped, mended: by what it
    is; `first` says how the first one of it reads. unknown_categories, unknown_attributes (with
    their category): how many products or values were left out for each.
    """

    path: Path
    products: list[Product] = field(default_factory=list)
    lines: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    unknown_categories: Counter[str] = field(default_factory=Counter)
    unknown_attributes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def drop(self, what: str, first: str, times: int = 1) -> None:
        """Count what is left out."""
        self.dropped[what] += times
        self.first.setdefault(what, first)

    def mend(self, what: str, first: str) -> None:
        """Count what is taken otherwise than it is written."""
        self.mended[what] += 1
        self.first.setdefault(what, first)

    @property
    def wrong(self) -> int:
        """Lines that are no product."""
        return self.dropped[WRONG]

    @property
    def refused(self) -> int:
        """Values that the schema refuses."""
        return self.dropped[REFUSED]

    @property
    def warnings(self) -> list[str]:
        """A sentence for each kind of thing that was left out or mended."""
        dropped, mended = sorted((+self.dropped).items()), sorted(self.mended.items())
        said = [f"left out {n} {what}{self._first(what)}" for what, n in dropped]
        said += [f"{n} times {what}{self._first(what)}" for what, n in mended]
        return [f"{self.path.name}: {sentence}" for sentence in said]

    def check(self, most_rejected: float = MOST_REJECTED) -> None:
        """See whether the catalog is of use.

        Raises:
            CatalogError: more than this share (0 to 1) of the lines is wrong, or no product is
                left.
        """
        if not self.lines:
            raise CatalogError(f"{self.path}: has no products; give a file with one a line")
        if self.wrong > most_rejected * self.lines:
            raise CatalogError(
                f"{self.path}: {self.wrong} of {self.lines} lines are no product"
                f"{self._first(WRONG)}, and at most {most_rejected:.0%} may be; mend the "
                "file, or make a catalog of it with `listune import`"
            )
        if not self.products:
            raise CatalogError(
                f"{self.path}: no product is of a category of the schema"
                f"{self._first(NO_CATEGORY)}; check that they match"
            )

    def _first(self, what: str) -> str:
        return f" (the first: {self.first[what]})" if what in self.first else ""
