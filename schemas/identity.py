"""What identifies a listing: the caller's `listing_id`, unique in the marketplace; or, where a
seller is named, the seller's id and it, so that two sellers may use one SKU.

The two make one text, the `listing_key`. It is what stands wherever a listing is meant: as a
record's key on Kafka, as `listing_id` in the pool's tables and in a round's files, in the hash by
which a listing is held out or forgotten. A separator between them that neither may contain keeps
the two apart.
"""

SEPARATOR = "\x1f"
"""U+001F, which is called "unit separator"."""


def listing_key(listing_id: str, seller_id: str | None = None) -> str:
    """The one text that identifies a listing."""
    return listing_id if seller_id is None else f"{seller_id}{SEPARATOR}{listing_id}"


def apart(key: str) -> tuple[str, str | None]:
    """The listing's id and the seller's, of a `listing_key`."""
    seller_id, separator, listing_id = key.partition(SEPARATOR)
    return (listing_id, seller_id) if separator else (key, None)


def told(key: str) -> str:
    """A `listing_key` in words, for a log: `4711` or `4711 of seller S`."""
    listing_id, seller_id = apart(key)
    return listing_id if seller_id is None else f"{listing_id} of seller {seller_id}"


def without_separator(name: str) -> str:
    """`name`, the caller's id of a listing or a seller.

    Raises:
        ValueError: it contains the separator.
    """
    if SEPARATOR in name:
        raise ValueError("has the character U+001F, which parts seller and listing; drop it")
    return name
