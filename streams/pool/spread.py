"""How much of a round may be alike: at most a share of its listings from one seller, one category
and one group of near-duplicates.

Else one seller with many listings, or many offers of one product, fill a round, and it teaches one
text. A listing that names no seller counts towards none. Near-duplicates are titles of one category
that are nearly the same (`schemas.likeness`); which are is found by comparing those that a round
looks at. All others count in SQL by `text_group`, which only texts share that are the same but for
case, white space and punctuation. Listings without a text are alike where their pictures are the
same.

    Shares    of a round, from the settings
    Limits    listings, of a round of so many
    Places    a round that is put together: whether there is a place left for a listing
    count     how many of the pool's could be taken, at most
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import duckdb

from schemas.events import ListingRequest
from schemas.likeness import Titles, picture_group, text_group
from streams.settings import StreamsSettings


@dataclass(frozen=True)
class Limits:
    """Listings at most from one seller, category and group of near-duplicates; None: any number."""

    seller: int | None = None
    category: int | None = None
    group: int | None = None

    def by_column(self) -> dict[str, int]:
        """Those that there are, by the column of `store.samples` that they are about."""
        every = {"seller_id": self.seller, "category": self.category, "text_group": self.group}
        return {column: limit for column, limit in every.items() if limit is not None}


@dataclass(frozen=True)
class Shares:
    """Of a round's listings, 0 to 1; 1: all of them may be alike."""

    seller: float = 1.0
    category: float = 1.0
    group: float = 1.0

    @classmethod
    def among_trained(cls, settings: StreamsSettings) -> "Shares":
        """Of the listings that a round trains on."""
        return cls(
            settings.max_share_per_seller,
            settings.max_share_per_category,
            settings.max_share_per_group,
        )

    @classmethod
    def among_judges(cls, settings: StreamsSettings) -> "Shares":
        """Of the held-out listings that judge; of a category as many as come."""
        return cls(seller=settings.max_share_per_seller, group=settings.max_share_per_group)

    def of(self, size: int) -> Limits:
        """Of `size` listings; always one at least."""
        return Limits(*(_limit(s, size) for s in (self.seller, self.category, self.group)))


def _limit(share: float, size: int) -> int | None:
    # A tenth of 30 is a little less than 3 in binary.
    return None if share >= 1 else max(1, math.floor(share * size + 1e-9))


def group_of(one: ListingRequest, pictures: Sequence[str] = ()) -> int | None:
    """What a listing shares with those whose text is the same; without a text with those whose
    pictures are. None where it has neither."""
    group = text_group(one.category, one.title, one.description)
    return group or picture_group(one.category, pictures)


class Places:
    """The places of a round, handed out one after the other."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: Counter[tuple[str, str | int]] = Counter()
        self._titles = Titles()

    def take(self, one: ListingRequest, pictures: Sequence[str] = ()) -> bool:
        """Takes a place for the listing; false where those for its like are taken."""
        of: dict[str, str | int | None] = {
            "seller_id": one.seller_id,
            "category": one.category,
            "text_group": group_of(one, pictures),
        }
        kinds = [(name, what) for name, what in of.items() if what is not None]
        limits = self._limits.by_column()
        if any(self._taken[kind] >= limits[kind[0]] for kind in kinds if kind[0] in limits):
            return False
        if (group := self._limits.group) is not None:
            alike = islice(self._titles.near(one.category, one.title), group)
            if sum(1 for _ in alike) == group:
                return False
            self._titles.add(one.category, one.title, one.listing_key)
        self._taken.update(kinds)
        return True


@dataclass(frozen=True)
class Counted:
    """Listings that count. within: of them, no more than could be taken under the limits."""

    all: int
    within: int


def count(
    con: duckdb.DuckDBPyConnection, listings: str, limits: Limits, wanted: Mapping[str, Any]
) -> Counted:
    """How many of `listings` there are, a statement with the columns of `Limits.by_column`.

    Each limit is looked at on its own, which takes a tenth of the time that it takes to choose, and
    titles are not compared: fewer may be taken, never more.
    """
    every = "(SELECT count(*) FROM listings)"
    within = [every, *(_within(column, most) for column, most in limits.by_column().items())]
    row = con.execute(
        f"WITH listings AS MATERIALIZED ({listings}) SELECT {every}, least({', '.join(within)})",
        dict(wanted),
    ).fetchone()
    return Counted(*map(int, row)) if row else Counted(0, 0)


def _within(column: str, most: int) -> str:
    return (
        f"(SELECT coalesce(sum(CASE WHEN {column} IS NULL THEN n ELSE least(n, {most}) END), 0) "
        f"FROM (SELECT {column}, count(*) AS n FROM listings GROUP BY {column}))"
    )


def thinned(listings: str, limits: Limits, order: str) -> str:
    """Of the statement `listings` what the limits allow, the first of a kind in `order`.

    Seller by seller first, so that nobody's listings cost others their places.
    """
    columns = limits.by_column()
    for column in ("seller_id", "text_group", "category"):
        if column not in columns:
            continue
        if column == "seller_id" and "text_group" in columns:
            listings = _first(listings, ("seller_id", "text_group"), columns["text_group"], order)
        listings = _first(listings, (column,), columns[column], order)
    return listings


def beyond(limits: Limits, order: str) -> str:
    """Whether a sample `s` is beyond `limits`, counted in `order`; an expression."""
    over = (
        f"(s.{column} IS NOT NULL "
        f"AND row_number() OVER (PARTITION BY s.{column} ORDER BY {order}) > {most})"
        for column, most in limits.by_column().items()
    )
    return " OR ".join(over) or "false"


def _first(listings: str, columns: tuple[str, ...], most: int, order: str) -> str:
    return (
        f"SELECT * FROM ({listings}) QUALIFY {columns[-1]} IS NULL OR row_number() OVER "
        f"(PARTITION BY {', '.join(columns)} ORDER BY {order}) <= {most}"
    )
