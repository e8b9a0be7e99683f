"""What the settings ask of a catalog, and how many of its products count for that.

A round takes only so many listings with the same text as `streams.max_share_per_group` allows, so
a catalog that says the same text again and again never fills one, however many lines it has.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from infra.catalogs.catalog import Product
from schemas.likeness import picture_group, text_group


@dataclass(frozen=True)
class Needs:
    """What the settings ask for.

    heldout_share: of all listings, 0 to 1. rounds, k: so many rounds of so many listings.
    judges, judges_most: of held-out listings. group_share: of a round's listings or judges those
    with one text, at most, one at least. most_rejected: the share of wrong lines that may be.
    """

    heldout_share: float
    rounds: int
    k: int
    judges: int
    judges_most: int
    group_share: float
    most_rejected: float

    @property
    def teachers(self) -> int:
        """Products to learn from."""
        return self.rounds * self.k

    def teaching(self, products: Iterable[Product]) -> int:
        """Those of the not held-out `products` that the rounds could take together."""
        return _counting((p for p in products if p.truth), self.rounds * self._alike(self.k))

    def judging(self, products: Iterable[Product]) -> int:
        """Those of the held-out `products` that could judge together."""
        held_out = list(products)
        return _counting(held_out, self._alike(min(len(held_out), self.judges_most)))

    def _alike(self, size: int) -> int:
        """As `streams.pool.spread` has it. A tenth of 30 is a little less than 3 in binary."""
        if self.group_share >= 1:
            return size
        return max(1, math.floor(self.group_share * size + 1e-9))


def _counting(products: Iterable[Product], most_alike: int) -> int:
    groups = Counter(map(_group, products))
    alone = groups.pop(None, 0)
    return alone + sum(min(count, most_alike) for count in groups.values())


def _group(product: Product) -> int | None:
    """The number that products with the same text share; without a text, with the same images."""
    group = text_group(product.category, product.title, product.description)
    return group or picture_group(product.category, product.images)
