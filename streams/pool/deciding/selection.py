"""Which listings a round trains on, and which the pool lets go.

Equation (3): the k listings with the largest gap under the current model. Fresh is decided here and
never stored: a sample whose adapter hash is the champion's, measured by the schema in force. A
listing that a round has taken is not taken again, and one that is held out is never taken; nor is,
beside those that judge the round, one whose title is nearly the same as one of theirs
(`schemas.likeness`): what was learnt of it would be asked for. And no more are taken of one seller,
one category and one group of near-duplicates than their share (`streams.pool.spread`).

The ranking is by gap (the paper's), by deficit or by edits, each over all attributes that the
category has: who asks for one attribute of fifty, and misses it, has a deficit of 1 and still less
to teach than who misses thirty. Where all are asked for, as in the paper, that is the gap itself. A
listing counts only with a deficit, something that the seller filled and the model did not; ranked
by edits, with an edit.
`schemas.curation.select` makes the same choice without a pool, and `choose` hands out its places.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import duckdb

from schemas.curation import COUNTS_BY, Selection
from schemas.likeness import Titles
from streams.pool import heldout, spread
from streams.pool.rows import EVENT_TABLES, insert
from streams.pool.selected import Selected, selected, with_texts
from streams.pool.spread import Counted, Limits, Places, Shares, group_of
from streams.pool.trials import running_trials

# Behind the best, so many pages are read that are each twice as large as the one before.
_LARGEST_PAGE = 5


def fresh_count(
    con: duckdb.DuckDBPyConnection,
    champion_hash: str,
    selection: Selection,
    min_gap: float,
    limits: Limits = Limits(),
) -> Counted:
    """How many listings count for a round now; near-duplicates of held-out ones among them."""
    counting = f"SELECT s.seller_id, s.category, s.text_group {_fresh(selection)}"
    wanted = {"champion": champion_hash, "min_gap": min_gap}
    return spread.count(con, counting, limits, wanted)


@dataclass(frozen=True)
class Chosen:
    """The listings of a round: those to train on, best first, and those that judge, newest first.

    near_held_out: how many were not taken because their titles are nearly those of the latter.
    over_share: how many because there was no place left for one more of their like.
    """

    train: list[Selected]
    held_out: list[Selected]
    near_held_out: int
    over_share: int


def select(
    con: duckdb.DuckDBPyConnection,
    champion_hash: str,
    k: int,
    selection: Selection,
    min_gap: float,
    heldout_most: int,
    shares: Shares = Shares(),
    judges: Shares = Shares(),
    heldout_least: int = 1,
) -> Chosen:
    """The k largest, fewer where there are fewer, ties by `listing_id`; and the held-out ones.

    `shares`, `judges`: of either, as their settings allow. `heldout_least`: where so many held-out
    listings are blind, they alone are taken.
    """
    alone = heldout.blind_alone(con, heldout_most, heldout_least, judges)
    limits, judging = shares.of(k), heldout.limits(con, heldout_most, judges, alone)
    wanted = {"champion": champion_hash, "min_gap": min_gap, "size": 2 * k}
    rows = con.execute(
        f"{_both(ranked(selection), heldout.newest_statement(judging, alone))} ORDER BY {_ORDER}",
        wanted | {"skip": 0, "most": heldout_most},
    ).fetchall()
    first = sum(reviewed_ms is not None for *_, reviewed_ms in rows)
    held_out = heldout.unlike(map(selected, rows[:first]), judging)
    if alone and len(held_out) < heldout_least:
        held_out = heldout.newest(con, heldout_most, judges)
    candidates = chain(rows[first:], _further(con, ranked(selection, limits), wanted, rows[first:]))
    return choose(map(selected, candidates), k, held_out, Places(limits))


def score(selection: Selection) -> str:
    """What samples `s` are ranked by: of all attributes that the category has."""
    return f"(s.{selection} * coalesce(s.asked_share, 1))"


def ranked(selection: Selection, limits: Limits = Limits()) -> str:
    """The best, best first, as a statement with $champion, $min_gap, and $size: how many, after
    the first $skip. Of one seller's listings with one text no more than `limits` has places."""
    per_text = ""
    if limits.group is not None:
        per_text = (
            "QUALIFY s.text_group IS NULL OR row_number() OVER (PARTITION BY s.seller_id, "
            f"s.text_group ORDER BY score DESC, s.listing_id) <= {limits.group}"
        )
    return f"""
        SELECT s.listing_id, {score(selection)} AS score, s.gap, s.deficit, s.blind,
               s.request_id, s.prediction_id, s.review_id, s.pictures
        {_fresh(selection)}
        {per_text}
        ORDER BY score DESC, s.listing_id LIMIT $size OFFSET $skip
        """


def mark_used(con: duckdb.DuckDBPyConnection, rows: Sequence[Selected], round_: int) -> None:
    """Takes the listings out of the pool; the caller's transaction also holds the round."""
    insert(
        con,
        "used",
        [{"listing_id": row.listing_id, "round": round_, "role": "train"} for row in rows],
    )


def prune(
    con: duckdb.DuckDBPyConnection,
    selection: Selection,
    max_rows: int,
    max_age_ms: int,
    heldout_most: int,
    shares: Shares = Shares(),
    judges: Shares = Shares(),
    watched: tuple[str, int] | None = None,
) -> None:
    """Bounds the pool by age and rows, in record time, so that a replay prunes the same.

    Over `max_rows` held-out listings that no longer judge go first, then what is beyond its share
    of so many, lest one seller push all others out, then the last by `selection`, the oldest of
    equals before the newer ones; the newest `heldout_most` held-out ones go last. What an open
    round uses is kept, and but for its age what decides a canary, an experiment that runs or the
    watch after a canary: the good answers would go first, and leave them the bad ones. With the
    last sample of a listing its events go too.

    Args:
        watched: the hash of an adapter whose answers decide, and from what record time on.
    """
    bounds = {"rows": max_rows, "age": max_age_ms}
    if not any(_out_of_bounds(con, table, bounds) for table in ("samples", *EVENT_TABLES.values())):
        return
    both = running_trials(con)
    running = [trial.experiment.name for trial in (both.experiment, both.canary) if trial]
    adapter, since = watched or (None, 0)
    newest = heldout.newest_statement(heldout.limits(con, heldout_most, judges))
    best = f"{score(selection)} DESC, s.timestamp_ms DESC, s.listing_id"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE pruned AS
        SELECT listing_id, adapter_hash, prediction_id FROM (
            SELECT s.*, max(s.timestamp_ms) OVER () - $age AS oldest, row_number() OVER
                       (ORDER BY n.listing_id IS NULL, s.held_out, s.beyond, {best}) AS rank
            FROM (SELECT s.*, {spread.beyond(shares.of(max_rows), best)} AS beyond
                  FROM store.samples s) s LEFT JOIN ({newest}) n
              ON n.listing_id = s.listing_id AND n.adapter_hash = s.adapter_hash)
        WHERE (rank > $rows OR timestamp_ms < oldest)
          AND listing_id NOT IN (
              SELECT listing_id FROM store.used JOIN store.rounds USING (round)
              WHERE closed_ms IS NULL)
          AND (timestamp_ms < oldest OR listing_id NOT IN (
              SELECT listing_id FROM store.predictions
              WHERE arms IS NOT NULL AND list_has_any(json_keys(arms), $running)
                 OR adapter_hash = $watched AND timestamp_ms >= $since))
        """,
        bounds | {"most": heldout_most, "running": running, "watched": adapter, "since": since},
    )
    con.execute(
        "DELETE FROM store.samples s USING pruned p "
        "WHERE s.listing_id = p.listing_id AND s.adapter_hash = p.adapter_hash"
    )
    con.execute(
        "DELETE FROM store.predictions WHERE prediction_id IN (SELECT prediction_id FROM pruned)"
    )
    for table in EVENT_TABLES.values():
        con.execute(
            f"""
            DELETE FROM store.{table} WHERE listing_id NOT IN (SELECT listing_id FROM store.samples)
            AND (listing_id IN (SELECT listing_id FROM pruned)
                 OR timestamp_ms < (SELECT max(timestamp_ms) FROM store.{table}) - $age)
            """,
            {"age": max_age_ms},
        )
    con.execute(
        "DELETE FROM store.textless WHERE listing_id NOT IN (SELECT listing_id FROM store.reviews)"
    )


def _out_of_bounds(con: duckdb.DuckDBPyConnection, table: str, bounds: dict[str, int]) -> bool:
    """Whether rows of `table` may have to go; quick, unlike to find out which."""
    row = con.execute(
        "SELECT coalesce(min(timestamp_ms) < max(timestamp_ms) - $age, false) "
        f"OR ('{table}' = 'samples' AND count(*) > $rows) FROM store.{table}",
        bounds,
    ).fetchone()
    return bool(row and row[0])


def _fresh(selection: Selection) -> str:
    """What a round could take, as the end of a statement with $champion and $min_gap."""
    counted = f"s.{COUNTS_BY[selection]}"
    return f"""
        FROM store.samples s ANTI JOIN store.used u ON u.listing_id = s.listing_id
        ANTI JOIN store.outdated o ON o.listing_id = s.listing_id
        WHERE s.adapter_hash = $champion AND NOT s.held_out
          AND {counted} > 0 AND {counted} >= $min_gap
        """


_IDS = "listing_id, gap, deficit, blind, request_id, prediction_id, review_id, pictures"
_ORDER = """
reviewed_ms IS NULL, (reviewed_ms IS NOT NULL AND blind) DESC, reviewed_ms DESC, score DESC,
listing_id
"""
"""The held-out listings first; only they have a `reviewed_ms`."""


def _both(best: str, judging: str) -> str:
    """The best and the held-out listings, in no order: the long texts of both are looked for in one
    go, since each reads whole tables."""
    return with_texts(
        f"SELECT {_IDS}, score, NULL::BIGINT AS reviewed_ms FROM ({best}) UNION ALL "
        f"SELECT {_IDS}, NULL::DOUBLE AS score, reviewed_ms FROM ({judging})",
        "score, reviewed_ms",
    )


def _further(
    con: duckdb.DuckDBPyConnection,
    best: str,
    wanted: dict[str, Any],
    looked_at: Sequence[Sequence[Any]],
) -> Iterator[Sequence[Any]]:
    """What a round could take beside those `looked_at`, best first, read as far as asked.

    To leave out what one text has too many of, as `best` does, takes five times as long as to rank:
    only where the first ones were not enough it is asked. Each page ranks all anew, and where few
    can be taken many are read: so they become larger.
    """
    statement = f"{with_texts(best, 'score')} ORDER BY score DESC, listing_id"
    known, skip = {row[0] for row in looked_at}, 0
    for page in count(1):
        size = wanted["size"] << min(page, _LARGEST_PAGE)
        rows = con.execute(statement, wanted | {"skip": skip, "size": size}).fetchall()
        if not rows:
            return
        yield from (row for row in rows if row[0] not in known)
        skip += size


def choose(
    candidates: Iterable[Selected], k: int, held_out: list[Selected], places: Places
) -> Chosen:
    """The first k of `candidates` with a place left for them that are like none of `held_out`."""
    titles, texts = Titles(), {group_of(one.request, one.pictures) for one in held_out} - {None}
    for one in held_out:
        titles.add(one.category, one.request.title, one.listing_id)
    train: list[Selected] = []
    near_held_out = over_share = 0
    for one in candidates:
        near = next(titles.near(one.category, one.request.title), None)
        if near is not None or group_of(one.request, one.pictures) in texts:
            near_held_out += 1
        elif not places.take(one.request, one.pictures):
            over_share += 1
        else:
            train.append(one)
        if len(train) == k:
            break
    return Chosen(train, held_out, near_held_out, over_share)
