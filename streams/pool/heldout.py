"""The held-out listings: never trained on, they judge what was.

Which they are is said by a hash of the id (`schemas.heldout`), so that nobody chooses, and is kept
with each sample (`held_out`), since a hash of each of a million ids takes long. They count as soon
as a seller has reviewed them, whichever adapter answered, and judge as often as they are among the
newest. A listing that has been trained on, under a smaller share, judges nothing.

Those whose labels no model has touched (`blind`) are preferred: where enough are, they judge alone,
else they come first. Those that judge are spread as those that teach (`streams.pool.spread`): at
most a share of one seller and of one group of near-duplicates.
"""

from collections.abc import Iterable

import duckdb

from schemas import heldout
from streams.pool import spread
from streams.pool.selected import Selected, selected, with_texts
from streams.pool.spread import Limits, Places, Shares

_BLIND = "coalesce(s.blind, false)"


def _any(blind: bool) -> str:
    """The samples of those that could judge; with `blind` of the blind ones alone."""
    # Not `_BLIND`: by the column itself DuckDB passes over blocks of rows that have no blind one.
    only = " AND s.blind" if blind else ""
    return (
        "FROM store.samples s ANTI JOIN store.used u ON u.listing_id = s.listing_id "
        f"WHERE s.held_out{only}"
    )


_NEWEST_OF_ALL = """
SELECT s.*, r.timestamp_ms AS reviewed_ms
FROM (SELECT s.listing_id, s.adapter_hash, s.gap, s.deficit,
             s.request_id, s.prediction_id, s.review_id,
             s.seller_id, s.text_group, s.pictures, {blind} AS blind {any}
      QUALIFY row_number() OVER
          (PARTITION BY s.listing_id ORDER BY s.timestamp_ms DESC, s.adapter_hash) = 1) s
JOIN store.reviews r ON r.review_id = s.review_id
"""


_ORDER = "blind DESC, reviewed_ms DESC, listing_id"


def newest_statement(limits: Limits, blind: bool = False) -> str:
    """The $most reviewed last within `limits`, by record time, the blind ones before all others; of
    each its last sample, and when it was reviewed."""
    all_ = _NEWEST_OF_ALL.format(blind=_BLIND, any=_any(blind))
    return f"FROM ({spread.thinned(all_, limits, _ORDER)}) ORDER BY {_ORDER} LIMIT $most"


def divide(con: duckdb.DuckDBPyConnection, share: float) -> None:
    """From now on `share` of all listings are held out; of samples that are there it is noted."""
    bound = heldout.bound(share)
    known = con.execute("SELECT value FROM store.meta WHERE name = 'heldout_bound'").fetchone()
    if known != (bound,):
        con.execute("UPDATE store.samples SET held_out = sha256(listing_id) < $1", [bound])
        con.execute("INSERT OR REPLACE INTO store.meta VALUES ('heldout_bound', $1)", [bound])


def count(con: duckdb.DuckDBPyConnection, blind: bool = False) -> int:
    """Listings that could judge, whoever sells them; with `blind` of the blind ones alone."""
    return _one(con, f"SELECT count(DISTINCT s.listing_id) {_any(blind)}")


def count_within(
    con: duckdb.DuckDBPyConnection, most: int, shares: Shares, blind: bool = False
) -> int:
    """Of them, no more than could judge together, `most` being the most that do."""
    each = (
        "SELECT any_value(s.seller_id) AS seller_id, any_value(s.text_group) AS text_group "
        f"{_any(blind)} GROUP BY s.listing_id"
    )
    return spread.count(con, each, limits(con, most, shares, blind), {}).within


def blind_alone(con: duckdb.DuckDBPyConnection, most: int, least: int, shares: Shares) -> bool:
    """Whether so many are blind, `least` as `shares` of them allow, that they judge alone."""
    most = max(most, least)
    return count(con, blind=True) >= least and count_within(con, most, shares, True) >= least


def limits(
    con: duckdb.DuckDBPyConnection, most: int, shares: Shares, blind: bool = False
) -> Limits:
    """What `shares` of those that judge are, `most` at the most."""
    return shares.of(min(most, count(con, blind)))


def reviewed_since(con: duckdb.DuckDBPyConnection, ms: int, blind: bool = False) -> int:
    """Those whose last review came after the record time `ms`."""
    return _one(
        con,
        f"SELECT count(*) FROM (SELECT DISTINCT s.review_id {_any(blind)}) s "
        "JOIN store.reviews r ON r.review_id = s.review_id WHERE r.timestamp_ms > $1",
        ms,
    )


def newest(
    con: duckdb.DuckDBPyConnection, most: int, shares: Shares = Shares(), least: int | None = None
) -> list[Selected]:
    """The `most` reviewed last, the blind ones before all others, as `shares` of them allow.

    Where `least` of them are blind, those alone.
    """
    if least is not None and blind_alone(con, most, least, shares):
        alone = _newest(con, most, shares, blind=True)
        if len(alone) >= least:  # titles are compared only when they are chosen
            return alone
    return _newest(con, most, shares, blind=False)


def _newest(
    con: duckdb.DuckDBPyConnection, most: int, shares: Shares, blind: bool
) -> list[Selected]:
    allowed = limits(con, most, shares, blind)
    rows = con.execute(
        f"{with_texts(newest_statement(allowed, blind), 'reviewed_ms')} ORDER BY {_ORDER}",
        {"most": most},
    ).fetchall()
    return unlike(map(selected, rows), allowed)


def unlike(listings: Iterable[Selected], limits: Limits) -> list[Selected]:
    """Those of `listings` that there is a place for, in their order."""
    places = Places(limits)
    return [one for one in listings if places.take(one.request, one.pictures)]


def _one(con: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> int:
    row = con.execute(sql, list(parameters)).fetchone()
    return int(row[0]) if row else 0
