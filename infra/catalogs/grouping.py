"""Which products belong together, and how to deal groups out evenly over the categories.

Offers of one product (same cluster, or nearly the same title) are a group that stays together.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from schemas.heldout import is_held_out
from schemas.likeness import Titles


class Offer(Protocol):
    """What grouping looks at."""

    @property
    def product_id(self) -> str: ...

    @property
    def category(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def cluster(self) -> str | None: ...


P = TypeVar("P", bound=Offer)


def stratified(groups: list[list[P]], seed: int) -> list[list[P]]:
    """`groups` in a random order in which every stretch has all categories in proportion."""
    chance = random.Random(f"split/{seed}")
    by_category: defaultdict[str, list[list[P]]] = defaultdict(list)
    for group in sorted(groups, key=lambda group: group[0].product_id):
        by_category[group[0].category].append(group)
    placed: list[tuple[float, str, list[P]]] = []
    for _, members in sorted(by_category.items()):
        chance.shuffle(members)
        start = chance.random()
        placed += [
            ((rank + start) / len(members), group[0].product_id, group)
            for rank, group in enumerate(members)
        ]
    return [group for _, _, group in sorted(placed, key=lambda item: item[:2])]


def together(
    products: Sequence[P], also: Callable[[P], Iterable[str]] = lambda product: ()
) -> list[list[P]]:
    """Products that must stay together: one cluster, or titles that are nearly the same.

    Titles are compared by `schemas.likeness`, in any script. What stays together joins: where one
    title is near a second and that near a third, the three are a group. `also` names further things
    (a brand) that products stay together by.
    """
    ordered = sorted(products, key=lambda product: product.product_id)
    leader = list(range(len(ordered)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    first_of: dict[tuple[str, str], int] = {}
    for index, product in enumerate(ordered):
        keys = [("also", key) for key in sorted(also(product))]
        if product.cluster is not None:
            keys.append(("cluster", product.cluster))
        for key in keys:
            leader[find(index)] = find(first_of.setdefault(key, index))
    titles = Titles()
    for index, product in enumerate(ordered):
        for other in titles.near(product.category, product.title):
            leader[find(index)] = find(int(other))
        titles.add(product.category, product.title, str(index))
    groups: defaultdict[int, list[P]] = defaultdict(list)
    for index, product in enumerate(ordered):
        groups[find(index)].append(product)
    return list(groups.values())


def parted(products: Iterable[P], share: float) -> tuple[list[P], list[P]]:
    """Those of `products` that are held out where `share` of all are, and the others."""
    parts: tuple[list[P], list[P]] = ([], [])
    for product in products:
        parts[0 if is_held_out(product.product_id, share) else 1].append(product)
    return parts
