"""Which products belong together, and how to deal groups out evenly over the categories.

Offers of one product (same cluster, or nearly the same title) are a group that stays together.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

# Two titles of one category with this share of their words in common are one product (Jaccard).
NEAR_DUPLICATE = 0.8


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

    `also` names further things (a brand) that products stay together by.
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
    for one, other in _near_duplicates([(p.category, p.title) for p in ordered]):
        leader[find(one)] = find(other)
    groups: defaultdict[int, list[P]] = defaultdict(list)
    for index, product in enumerate(ordered):
        groups[find(index)].append(product)
    return list(groups.values())


def _near_duplicates(titles: Sequence[tuple[str, str]]) -> Iterable[tuple[int, int]]:
    """Pairs of titles of one category whose words overlap by `NEAR_DUPLICATE` or more.

    Two such sets share one of their rarest words: with words ordered by rarity, one among the
    first n - ceil(t n) + 1 (prefix filtering, Chaudhuri et al. 2006), so few pairs are compared.
    """
    words = [{(category, word) for word in title.casefold().split()} for category, title in titles]
    counts = Counter(word for entry in words for word in entry)
    by_word: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, entry in enumerate(words):
        rarest = sorted(entry, key=lambda word: (counts[word], word))
        prefix = rarest[: len(entry) - math.ceil(NEAR_DUPLICATE * len(entry)) + 1]
        for other in {other for word in prefix for other in by_word[word]}:
            common = len(entry & words[other])
            if common >= NEAR_DUPLICATE * (len(entry) + len(words[other]) - common):
                yield index, other
        for word in prefix:
            by_word[word].append(index)
