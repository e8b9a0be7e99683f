"""Which listing showed which picture, so that those of a forgotten one can be removed.

    `note`     an answer came: what it names was kept for its listing
    `remove`   listings are forgotten: their pictures go, but for those that another listing showed

A listing is known by the hash of its key alone, and these rows outlive all others of it, as its
pictures do: one that the pool has let go of for its age is forgotten like any other.
"""

import json
import logging
from collections.abc import Collection, Iterable
from typing import Any

import duckdb

from schemas.events import Purpose, listing_sha256
from serving.pictures.store import PictureStore
from streams.pool.rows import Row, as_select

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


def remove(con: duckdb.DuckDBPyConnection, store: PictureStore, hashes: Collection[str]) -> bool:
    """Removes the pictures of the listings with these hashes that no other one showed.

    Returns:
        False where the store does not work: to be tried again. What is gone by then stays gone.
    """
    found = {"hashes": json.dumps(list(hashes))}
    among = "IN (SELECT unnest(from_json($hashes, '[\"VARCHAR\"]')))"
    alone = con.execute(
        f"SELECT DISTINCT sha256 FROM store.pictures WHERE listing_sha256 {among} AND sha256 "
        f"NOT IN (SELECT sha256 FROM store.pictures WHERE listing_sha256 NOT {among}) "
        "ORDER BY sha256",
        found,
    ).fetchall()
    try:
        for (picture,) in alone:
            store.remove(picture)
    except OSError as error:
        logger.error("pictures of forgotten listings cannot be removed yet, tried again: %s", error)
        return False
    con.execute(f"DELETE FROM store.pictures WHERE listing_sha256 {among}", found)
    if alone:
        logger.info("%d pictures of forgotten listings were removed", len(alone))
    return True
