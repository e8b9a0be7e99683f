"""Which listing showed which picture, so that those of a forgotten one can be removed.

    `note`     an answer came: what it names was kept for its listing
    `remove`   listings are forgotten: their pictures go, but for those that another listing showed

A listing is known by the hash of its key alone, and these rows outlive all others of it, as its
pictures do: one that the pool has let go of for its age is forgotten like any other.
"""

import json
import logging
import time
from collections.abc import Collection, Iterable
from typing import Any

import duckdb

from schemas.events import Purpose, listing_sha256
from serving.pictures.store import PictureStore
from streams.pool.rows import Row, as_select

REMOVING_S = 1.0
"""So long a tick of the conductor may remove pictures; many take several."""
STORE_AWAY_S = 60.0
"""A store that does not answer is asked again after this time."""

_COLUMNS = {"listing_sha256": "VARCHAR", "sha256": "VARCHAR"}

logger = logging.getLogger("listune.forgetting")


def note(con: duckdb.DuckDBPyConnection, predictions: Iterable[Row]) -> set[str]:
    """Notes what live answers name; an order's were kept before.

    Returns:
        The hashes of the listings that showed any.
    """
    rows: list[Row] = [
        {"listing_sha256": listing_sha256(str(row["listing_id"])), "sha256": picture}
        for row in predictions
        if row["pictures"] is not None and row["purpose"] == Purpose.LIVE
        for picture in json.loads(str(row["pictures"]))
    ]
    if rows:  # of most shops there is none
        statement, parameters = as_select(_COLUMNS, rows)
        # What is answered twice stands there twice: to look for it would read all rows.
        con.execute(f"INSERT INTO store.pictures {statement}", parameters)
    return {str(row["listing_sha256"]) for row in rows}


def note_file(con: duckdb.DuckDBPyConnection, among: str, found: dict[str, Any]) -> None:
    """Notes what a round's file, in the table `manifest`, says of forgotten listings: after a
    rebuild the topics may say it no more. Files from before pictures were kept have no column."""
    columns = {name for name, *_ in con.execute("DESCRIBE manifest").fetchall()}
    if "pictures" in columns:
        con.execute(
            "INSERT INTO store.pictures SELECT sha256(listing_id), "
            "unnest(from_json(pictures, '[\"VARCHAR\"]')) FROM manifest "
            f"WHERE sha256(listing_id) {among}",
            found,
        )


def remove(
    con: duckdb.DuckDBPyConnection, store: PictureStore, hashes: Collection[str]
) -> float | None:
    """Removes the pictures of the listings with these hashes that no other one showed.

    A bucket takes some 50 ms for each, and the pool waits meanwhile: it goes on for `REMOVING_S`.

    Returns:
        None where all are gone; else after how many seconds to call it again. What is gone by then
        stays gone.
    """
    found = {"hashes": json.dumps(list(hashes))}
    among = "IN (SELECT unnest(from_json($hashes, '[\"VARCHAR\"]')))"
    alone = con.execute(
        f"SELECT DISTINCT sha256 FROM store.pictures WHERE listing_sha256 {among} AND sha256 "
        f"NOT IN (SELECT sha256 FROM store.pictures WHERE listing_sha256 NOT {among}) "
        "ORDER BY sha256",
        found,
    ).fetchall()
    end, gone = time.monotonic() + REMOVING_S, 0
    try:
        for (picture,) in alone:
            store.remove(picture)
            gone += 1
            if time.monotonic() > end:
                break
    except OSError as error:
        logger.error("pictures of forgotten listings cannot be removed yet, tried again: %s", error)
        return STORE_AWAY_S
    if gone < len(alone):
        con.execute(
            "DELETE FROM store.pictures "
            "WHERE sha256 IN (SELECT unnest(from_json($gone, '[\"VARCHAR\"]')))",
            {"gone": json.dumps([picture for (picture,) in alone[:gone]])},
        )
        return 0.0
    con.execute(f"DELETE FROM store.pictures WHERE listing_sha256 {among}", found)
    if alone:
        logger.info("the pictures of forgotten listings were removed")
    return None
