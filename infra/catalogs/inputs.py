"""What sellers send of a product: a text, a picture, or both, in the shares of the paper.

Which it is follows from a hash of the product's id alone: the same for everyone who asks, whatever
else is in the list, and without any tie to the hash that holds listings out. What has no picture
stays a text, and what has no text stays a picture, so the shares are those of products with both.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from infra.catalogs.catalog import Product
from trainer.data.dataset import Row
from trainer.judging.evaluate import Inputs

PAPER: dict[Inputs, float] = {"text+image": 0.376, "text": 0.459, "image": 0.165}
"""The shares of what sellers send, of the paper."""


def drawn(product_id: str) -> Inputs:
    """What is sent of a product that has both."""
    digest = hashlib.sha256(f"inputs/{product_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for inputs, share in PAPER.items():
        if place < share:
            return inputs
        place -= share
    return "text+image"  # what rounding leaves over


def mixed(products: Iterable[Product]) -> list[Product]:
    """`products` as their sellers send them."""
    return [_sent(product) for product in products]


def mixed_rows(rows: Iterable[Row]) -> list[Row]:
    """`rows` as their sellers send them."""
    return [
        views(row)[drawn(row.listing.listing_id)] if row.has_text and row.pictures else row
        for row in rows
    ]


def views(row: Row) -> dict[Inputs, Row]:
    """One held-out row with a text and pictures in three ways, to judge each kind of input on the
    same products."""
    listing = row.listing
    return {
        "text": replace(row, listing=replace(listing, images=()), pictures=()),
        "image": replace(row, listing=replace(listing, title="", description="")),
        "text+image": row,
    }


def _sent(product: Product) -> Product:
    inputs = drawn(product.product_id)
    if not product.images or not (product.title or product.description):
        return product
    if inputs == "text":
        return replace(product, images=())
    return replace(product, title="", description="") if inputs == "image" else product
