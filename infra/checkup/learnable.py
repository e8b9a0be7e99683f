"""Whether anything could be learnt from a catalog at all.

A round trains on no listing whose title is nearly that of one that judges it, and on none without a
value (`streams.pool.deciding.selection`). So a catalog of a few products in many variants teaches
nothing, however many lines it has.
"""

from collections.abc import Iterator, Sequence

from infra.catalogs.catalog import Product
from infra.catalogs.grouping import parted
from schemas.likeness import Titles

MOST_COMPARED = 20_000
"""Products whose titles are compared: all with all would take hours of a million."""


def compared(products: Sequence[Product]) -> Sequence[Product]:
    """All of `products`, or an even part of very many."""
    return products[:: -(-len(products) // MOST_COMPARED) or 1]


def apart(products: Sequence[Product], heldout_share: float) -> Iterator[Product]:
    """The products that a round could train on: with a value, not held out and near none that is.

    Made one by one, so that who needs to know of a few compares no more titles.
    """
    held_out, others = parted(products, heldout_share)
    titles = Titles()
    for product in held_out:
        titles.add(product.category, product.title, product.product_id)
    for product in others:
        if product.truth and not any(titles.near(product.category, product.title)):
            yield product


def why_not(
    products: Sequence[Product], heldout_share: float, rounds: int, refused: str = ""
) -> str | None:
    """Why nothing could be learnt in so many rounds, with what to do; None where something could.

    Args:
        products: at least one.
        heldout_share: of all listings, 0 to 1.
        rounds: each needs a product of its own.
        refused: how the first refused value reads, if there is one.
    """
    if not any(product.truth for product in products):
        reason = f" (the first that is refused: {refused})" if refused else ""
        return (
            f"none of the {len(products)} products has a value that the schema takes{reason}, so "
            "nothing could be learnt; mend the values, or the schema"
        )
    some = compared(products)
    found = sum(1 for _ in zip(apart(some, heldout_share), range(rounds), strict=False))
    teachers = sum(bool(product.truth) for product in parted(some, heldout_share)[1])
    if found < rounds <= teachers:
        return (
            f"of the {len(products)} products {found or 'none'} could be trained on, since the "
            "titles of the others are nearly those of held-out ones; add other products, not more "
            "variants of these"
        )
    return None
