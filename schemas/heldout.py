"""Which listings are held out: never trained on, so that what judges an adapter is new to it.

The choice is by a hash of the listing's id alone. It is the same for everyone who asks, at any
time, and a share that grows only adds listings. Of those held out a further share calibrates and
the rest judges; that choice is by the other end of the same hash, so that neither tells of the
other.
"""

from schemas.events import listing_sha256


def bound(share: float) -> str:
    """The hash, as hexadecimal digits, below which lie `share` of all listings (0 to 1).

    It compares as text, in SQL too: `sha256(listing_id) < bound(share)`.
    """
    # "g" is above every hexadecimal digit.
    return f"{int(share * 2**64):016x}" if share < 1 else "g"


def is_held_out(listing_id: str, share: float) -> bool:
    """Whether the listing is among the `share` that is held out."""
    return listing_sha256(listing_id) < bound(share)


def calibrates(listing_id: str, share: float) -> bool:
    """Whether a held-out listing is among the `share` of them that calibrates; else it judges."""
    return listing_sha256(listing_id)[::-1] < bound(share)
