"""A listing that a round takes, with what its row of the manifest is made of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.events import ListingRequest
from schemas.origins import Origin, in_full

# As in `streams.pool.samples`: of another schema only the request tells what it asked for.
_ASKED = """
CASE WHEN p.category_schema_hash = c.hash THEN p.requested ELSE q.payload ->> '$.requested' END
"""
COLUMNS = (
    "listing_id", "gap", "deficit", "payload", "asked", "submitted", "category", "origins", "shown",
    "blind", "pictures",
)  # fmt: skip
"""What `selected` makes a listing of."""


@dataclass(frozen=True)
class Selected:
    """One listing of a round, `category` by the name in force.

    requested: the attributes asked for, None for all. origins: attribute to where its value comes
    from (`schemas.origins`); without one that is unknown. shown: whether the seller was shown any
    value; None where that was not kept. blind: whether no model has touched what was submitted.
    pictures: SHA-256 of what was seen, in order.
    """

    listing_id: str
    category: str
    gap: float
    deficit: float
    request: ListingRequest
    requested: tuple[str, ...] | None
    submitted: dict[str, list[str]]
    origins: dict[str, Origin]
    shown: bool | None
    blind: bool
    pictures: tuple[str, ...] = ()


def with_texts(chosen: str, also: str) -> str:
    """`COLUMNS`, and the columns `also`, of the samples that the statement `chosen` gives; in no
    order."""
    return f"""
        SELECT chosen.listing_id, gap, deficit, q.payload, {_ASKED} AS asked, r.submitted,
               c.name AS category, r.origins, r.shown, chosen.blind,
               chosen.pictures, {also}
        FROM ({chosen}) chosen
        JOIN store.requests q ON q.request_id = chosen.request_id
        JOIN store.predictions p ON p.prediction_id = chosen.prediction_id
        JOIN store.reviews r ON r.review_id = chosen.review_id
        JOIN store.categories c ON c.category = p.category
        """


def selected(row: Sequence[Any]) -> Selected:
    """The listing of a row that begins with `COLUMNS`."""
    (
        listing_id, gap, deficit, payload, asked, submitted, category, origins, shown, blind,
        pictures, *_,
    ) = row  # fmt: skip
    values = json.loads(submitted)
    known: dict[str, Origin] = {}
    if origins is not None:
        known = in_full(origins, values)
    elif shown == 0:  # from before they were kept: who was shown nothing has typed it all
        known = dict.fromkeys(values, "typed")
    return Selected(
        listing_id=listing_id,
        category=category,
        gap=gap,
        deficit=deficit,
        request=ListingRequest.model_validate_json(payload),
        requested=None if asked is None else tuple(json.loads(asked)),
        submitted=values,
        origins=known,
        shown=None if shown is None else shown > 0,
        blind=bool(blind),
        pictures=tuple(json.loads(pictures or "[]")),
    )
