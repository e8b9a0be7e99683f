"""Forgetting a listing: its rows at once, then its place in the rounds' files, then a record.

    `forget`   the event was read: every row of the listing goes, in the transaction of its offset
    `settle`   the conductor's tick: which rounds trained on it is said on the topic; after that has
               been committed, the listing goes out of those rounds' files, and out of all that it
               judged by, and its pictures out of their store

An id that was forgotten stays so: identities are never reused, and an answer or a review that is
still under way would otherwise bring back what was to be forgotten. What is kept is the id's hash.
No list of removed pictures is needed: an order under way reads what is kept and keeps nothing. A
request under way may keep a picture anew; its answer, which is passed over, names it, and so has
the listing settled once more (`Pool.apply`).
"""

import json
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import duckdb

from schemas.events import ERASED_FROM, ListingForgotten, ManifestFile, RetrainRequest
from schemas.topic_names import FORGOTTEN
from serving.pictures.store import PictureStore
from streams.pool import outbox, pictures
from streams.pool.parquet import write_parquet

# Rows about a listing, with the column that names it.
_ROWS = {
    "requests": "listing_id",
    "predictions": "listing_id",
    "reviews": "listing_id",
    "samples": "listing_id",
    "outdated": "listing_id",
    "textless": "listing_id",
    "backfill_orders": "listing_id",
    "outbox": "key",  # orders not sent yet; no other key is a listing's
}
_AMONG = "IN (SELECT unnest(from_json($hashes, '[\"VARCHAR\"]')))"

logger = logging.getLogger("listune.forgetting")


def forgotten_hashes(con: duckdb.DuckDBPyConnection) -> set[str]:
    """SHA-256 of every listing that is forgotten."""
    return {row[0] for row in con.execute("SELECT listing_sha256 FROM store.forgotten").fetchall()}


def forget(con: duckdb.DuckDBPyConnection, pool: str, events: Sequence[ListingForgotten]) -> None:
    """Applies what `listune.forgotten` says; call it inside the transaction of the offsets.

    One that is asked for twice was forgotten the first time. Another pool's answer says no more
    than that the listing is forgotten.
    """
    # Of those known nothing has come in since; looking for them reads every row of the pool.
    new = {event.listing_sha256 for event in events} - forgotten_hashes(con)
    for event in events:
        rounds = event.rounds if event.pool == pool else None
        con.execute(
            "INSERT INTO store.forgotten VALUES (?, ?, ?, false) "
            "ON CONFLICT DO UPDATE SET rounds = coalesce(excluded.rounds, rounds)",
            [
                event.listing_sha256,
                event.created_ms,
                None if rounds is None else json.dumps(rounds),
            ],
        )
    for table, column in _ROWS.items() if new else ():
        con.execute(
            f"DELETE FROM store.{table} WHERE sha256({column}) {_AMONG}",
            {"hashes": json.dumps(sorted(new))},
        )


def settle(
    con: duckdb.DuckDBPyConnection, pool: str, store: PictureStore | None = None
) -> float | None:
    """Answers for what has been forgotten, and in a later call erases it from the rounds' files.

    In this order, because a listing is found in a round that was superseded by its files alone. On
    a rebuild the answer is in the topic already, and only what is left of the listing is erased.

    Returns:
        None where all is done; where pictures are left in `store`, after how many seconds to call
        it again. All that it does may be done twice.
    """
    waiting = con.execute(
        "SELECT listing_sha256, forgotten_ms, rounds FROM store.forgotten WHERE NOT settled "
        "ORDER BY forgotten_ms, listing_sha256"
    ).fetchall()
    unanswered = [(digest, ms) for digest, ms, rounds in waiting if rounds is None]
    if unanswered:
        taken = _rounds_with(con, [digest for digest, _ in unanswered])
        for digest, ms in unanswered:
            _answer(con, ListingForgotten(
                listing_sha256=digest, created_ms=ms, pool=pool, rounds=sorted(taken[digest])
            ))  # fmt: skip
    elif waiting:
        hashes = [digest for digest, *_ in waiting]
        learnt_by = {n for *_, rounds in waiting for n in json.loads(rounds)}
        files = [file for number in sorted(learnt_by) for file in _files(con, number, "train")]
        for file in [*files, *_judged_by(con, hashes)]:
            erase(con, file, hashes)
        again_s = None if store is None else pictures.remove(con, store, hashes)
        if again_s is not None:
            return again_s
        found = {"hashes": json.dumps(hashes)}
        con.execute(f"DELETE FROM store.used WHERE sha256(listing_id) {_AMONG}", found)
        con.execute(
            f"UPDATE store.forgotten SET settled = true WHERE listing_sha256 {_AMONG}", found
        )
    return None


def unsettle(con: duckdb.DuckDBPyConnection, hashes: Collection[str]) -> None:
    """Forgotten listings showed pictures after they had been removed: they are to go again."""
    con.execute(
        f"UPDATE store.forgotten SET settled = false WHERE listing_sha256 {_AMONG}",
        {"hashes": json.dumps(list(hashes))},
    )


def erase(con: duckdb.DuckDBPyConnection, file: ManifestFile, hashes: Collection[str]) -> bool:
    """Takes the listings with these hashes out of a round's file; whether any was in it.

    The file names in its metadata the hash by which the round's event knows it.
    """
    path = Path(file.path)
    if not path.is_file():
        return False
    con.execute(
        "CREATE OR REPLACE TEMP TABLE manifest AS FROM read_parquet($path)", {"path": str(path)}
    )
    pictures.note_file(con, _AMONG, {"hashes": json.dumps(list(hashes))})
    gone = con.execute(
        f"DELETE FROM manifest WHERE sha256(listing_id) {_AMONG} RETURNING listing_id",
        {"hashes": json.dumps(list(hashes))},
    ).fetchall()
    if gone:
        write_parquet(con, path, {ERASED_FROM: file.sha256})
        logger.info("%d forgotten listings were taken out of %s", len(gone), path)
    con.execute("DROP TABLE manifest")
    return bool(gone)


def _answer(con: duckdb.DuckDBPyConnection, event: ListingForgotten) -> None:
    con.execute(
        "UPDATE store.forgotten SET rounds = ? WHERE listing_sha256 = ?",
        [json.dumps(event.rounds), event.listing_sha256],
    )
    outbox.add(con, FORGOTTEN, event.key(), event)


def _rounds_with(con: duckdb.DuckDBPyConnection, hashes: list[str]) -> dict[str, set[int]]:
    """The rounds that trained on each listing."""
    taken: dict[str, set[int]] = {digest: set() for digest in hashes}
    found = {"hashes": json.dumps(hashes)}
    for digest, number in con.execute(
        f"SELECT sha256(listing_id), round FROM store.used WHERE sha256(listing_id) {_AMONG}", found
    ).fetchall():
        taken[digest].add(number)
    # A superseded round gave its listings back, but its adapter has seen them.
    for (number,) in con.execute(
        "SELECT round FROM store.rounds WHERE state = 'superseded'"
    ).fetchall():
        for file in _files(con, number, "train"):
            if Path(file.path).is_file():
                for (digest,) in con.execute(
                    f"SELECT sha256(listing_id) AS h FROM read_parquet($path) WHERE h {_AMONG}",
                    found | {"path": file.path},
                ).fetchall():
                    taken[digest].add(number)
    return taken


def _judged_by(con: duckdb.DuckDBPyConnection, hashes: list[str]) -> list[ManifestFile]:
    """The files of all rounds, and of all looks, that any of the listings judged by."""
    rounds = con.execute("SELECT round FROM store.rounds ORDER BY round").fetchall()
    files = {
        file.path: file
        for (number,) in rounds
        for file in _files(con, number, "heldout")
        if Path(file.path).is_file()
    }
    if not files:
        return []
    found = con.execute(
        "SELECT DISTINCT filename FROM read_parquet($paths, filename := true) "
        f"WHERE sha256(listing_id) {_AMONG} ORDER BY filename",
        {"paths": list(files), "hashes": json.dumps(hashes)},
    ).fetchall()
    return [files[path] for (path,) in found]


def _files(con: duckdb.DuckDBPyConnection, number: int, role: str) -> list[ManifestFile]:
    row = con.execute("SELECT request FROM store.rounds WHERE round = ?", [number]).fetchone()
    files = RetrainRequest.model_validate_json(row[0]).files if row and row[0] else []
    return [file for file in files if file.role == role]
