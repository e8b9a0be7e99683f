"""Whether a round is due, or a further look at a challenger, and if not what it waits for. Looks at
the pool, changes nothing.

A round begins when k fresh listings count for one (`count`). It begins earlier, with what is there
but no fewer than `LEAST_SHARE` of k, when the last one is `retrain_every_hours` ago (`schedule`),
or when sellers accept less of the champion's values than they did at first (`acceptance`; `drift`,
by the alarm of `deciding.drift`). None begins within `cool_down_s` of the end of the last one. What
a person asks for (`person`) is the conductor's, and passes all of this; but nothing begins that
could not be judged.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from schemas.events import Trigger
from streams.pool import heldout
from streams.pool.deciding.selection import fresh_count
from streams.pool.spread import Counted, Limits, Shares
from streams.pool.state import Challenger, challenger, champion
from streams.settings import StreamsSettings

# A round on a handful of listings is rejected, and three of those pause the trigger.
LEAST_SHARE = 0.1
# A look on nearly the listings of the last one would find what that found, and each look costs a
# part of the error that the gate may make.
NEW_SHARE = 0.5
# Acceptance is looked at so seldom because the look joins all reviews of the champion.
ACCEPTANCE_EVERY_MS = 10_000
# What is beyond its share is counted so seldom where there are more listings than this.
SMALL = 10_000
COUNTED_EVERY_MS = 10_000
_HOUR_MS = 3_600_000

# The last review of each live prediction by the champion that showed values, numbered from both
# ends. The newest count from the last round's beginning on: a drop that a round has answered to is
# not answered to again, before as many reviews have told that it is still there.
_ACCEPTANCE = """
WITH reviewed AS (
    SELECT r.shown, r.accepted, r.timestamp_ms,
           row_number() OVER (ORDER BY r.timestamp_ms, r.review_id) AS first,
           row_number() OVER (ORDER BY r.timestamp_ms DESC, r.review_id DESC) AS newest
    FROM store.predictions p
    JOIN (FROM store.reviews QUALIFY row_number() OVER
             (PARTITION BY prediction_id
              ORDER BY timestamp_ms DESC, "offset" DESC, partition DESC) = 1) r
      USING (prediction_id)
    WHERE p.adapter_hash = $champion AND p.purpose = 'live' AND r.shown > 0)
SELECT sum(accepted) FILTER (first <= $window) / sum(shown) FILTER (first <= $window),
       sum(accepted) FILTER (newest <= $window) / sum(shown) FILTER (newest <= $window)
FROM reviewed
HAVING count(*) >= 2 * $window AND count(*) FILTER (timestamp_ms > $began) >= $window
"""


@dataclass(frozen=True)
class Outlook:
    """What the trigger sees.

    have, need: listings that a round could take, as far as known, and k. near_held_out: that it
    could, but for held-out ones that they resemble. over_share: that it could, but for others of
    the same seller, category or product. held_out, held_out_needed: to judge by. least: how many
    make do for a round that begins early. early: why one is to begin early; None where nothing asks
    for it. cool_down_ms: until a round may begin. scheduled_in_ms: until the schedule asks for one;
    None where it is off.
    """

    have: int
    need: int
    near_held_out: int
    over_share: int
    held_out: int
    held_out_needed: int
    least: int
    early: Trigger | None
    cool_down_ms: int
    scheduled_in_ms: int | None

    @property
    def due(self) -> Trigger | None:
        """Why a round is to begin now."""
        if self.cool_down_ms > 0 or self.held_out < self.held_out_needed:
            return None
        if self.have >= self.need:
            return "count"
        return self.early if self.have >= self.least else None


@dataclass(frozen=True)
class Tried:
    """What the last try to put a round together found.

    short: of the listings that count, how many no round would take. near_held_out: how many of
    those resemble held-out ones. held_out_short: of the held-out ones, how many would not judge.
    """

    short: int = 0
    near_held_out: int = 0
    held_out_short: int = 0


@dataclass(frozen=True)
class NextLook:
    """A challenger that may be judged again.

    waits_for: how many more held-out listings are to be reviewed before; 0 where it is due.
    """

    challenger: Challenger
    waits_for: int


class AcceptanceDrop:
    """Whether sellers accept less of the champion's values than at first, looked at now and then.

    Acceptance is values accepted / values shown: over the newest `acceptance_window` reviewed live
    predictions of the champion, against its first as many that the pool still has.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
        self._con = con
        self._settings = settings
        self._seen: tuple[str, int, int] | None = None
        self._fell = False

    def __call__(self, now_ms: int) -> bool:
        """Whether it fell by `acceptance_drop` or more; false where that is 0, or too few are."""
        if not self._settings.acceptance_drop:
            return False
        adapter, began = champion(self._con).hash, last_began_ms(self._con)
        seen = (adapter, began, now_ms // ACCEPTANCE_EVERY_MS)
        if seen != self._seen:
            self._fell, self._seen = self._measure(adapter, began), seen
        return self._fell

    def _measure(self, adapter_hash: str, began_ms: int) -> bool:
        row = self._con.execute(
            _ACCEPTANCE,
            {
                "champion": adapter_hash,
                "began": began_ms,
                "window": self._settings.acceptance_window,
            },
        ).fetchone()
        # A share of 3/10 less 1/10 is a little below 0.2 in binary.
        return row is not None and row[0] - row[1] >= self._settings.acceptance_drop - 1e-9


class Candidates:
    """Who could teach and who could judge now, each within its share (`streams.pool.spread`).

    How many are beyond their share is counted at each look in a small pool. In a large one, where
    it takes three times as long as to count all, it is counted now and then.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
        self._con = con
        self._settings = settings
        self._beyond: dict[str, tuple[tuple[object, ...], int]] = {}

    def fresh(self, now_ms: int) -> Counted:
        """The listings that count for a round."""
        settings = self._settings
        limits = Shares.among_trained(settings).of(settings.k)
        by = (champion(self._con).hash, settings.selection, settings.min_gap)
        all_ = fresh_count(self._con, *by).all
        if limits == Limits():
            return Counted(all_, all_)

        def within() -> int:
            return fresh_count(self._con, *by, limits).within

        return Counted(all_, all_ - self._beyond_share(now_ms, "fresh", all_, within))

    def judges(self, now_ms: int) -> int:
        """The held-out listings that would judge one."""
        most, shares = self._settings.heldout_most, Shares.among_judges(self._settings)
        blind = blind_alone(self._con, self._settings)
        all_ = heldout.count(self._con, blind)
        if shares == Shares():
            return min(most, all_)

        def within() -> int:
            return heldout.count_within(self._con, most, shares, blind)

        what = "blind judges" if blind else "judges"
        return min(most, all_ - self._beyond_share(now_ms, what, all_, within))

    def _beyond_share(self, now_ms: int, what: str, all_: int, within: Callable[[], int]) -> int:
        """How many of `all_` are beyond their share."""
        began = last_began_ms(self._con)
        when = (champion(self._con).hash, began, now_ms // COUNTED_EVERY_MS)
        known = self._beyond.get(what)
        if known is None or known[0] != when or all_ <= SMALL:
            known = self._beyond[what] = when, all_ - within()
        return min(known[1], all_)


def outlook(
    con: duckdb.DuckDBPyConnection,
    settings: StreamsSettings,
    now_ms: int,
    fell: Trigger | None,
    candidates: Candidates,
    tried: Tried,
) -> Outlook:
    """What the trigger sees now.

    Args:
        fell: by which trigger the champion's acceptance did; None where it did not.
        tried: what is known of the candidates.
    """
    scheduled_in_ms = _scheduled_in_ms(con, settings, now_ms)
    early = fell
    if early is None and scheduled_in_ms == 0:
        early = "schedule"
    # A further look trains nothing: the pool has not changed with its end, but by a promotion.
    ended = _one(
        con,
        "SELECT coalesce(max(closed_ms), 0) FROM store.rounds WHERE look = 1 OR state = 'promoted'",
    )
    fresh = candidates.fresh(now_ms)
    have = max(0, fresh.within - tried.short)
    return Outlook(
        have=have,
        need=settings.k,
        near_held_out=tried.near_held_out,
        over_share=max(0, fresh.all - have - tried.near_held_out),
        held_out=max(0, candidates.judges(now_ms) - tried.held_out_short),
        held_out_needed=settings.heldout_least,
        least=math.ceil(LEAST_SHARE * settings.k),
        early=early,
        cool_down_ms=max(0, ended + round(settings.cool_down_s * 1000) - now_ms) if ended else 0,
        scheduled_in_ms=scheduled_in_ms,
    )


def next_look(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, judges: Callable[[], int]
) -> NextLook | None:
    """The next look at the challenger; None where there is none to look at.

    It is due once half as many listings as judged it last, and half of the least that may judge,
    are new.
    """
    waiting = challenger(con)
    if waiting is None:
        return None
    blind, now = blind_alone(con, settings), judges()
    judged = [file.rows for file in waiting.request.files if file.role == "heldout"]
    # Once the blind ones judge alone they are fewer than all were.
    most = [min(rows, now) if blind else rows for rows in judged[-1:]]
    wanted = math.ceil(NEW_SHARE * max([settings.heldout_least, *most]))
    new = heldout.reviewed_since(con, waiting.looked_ms, blind)
    missing = settings.heldout_least - now
    return NextLook(waiting, max(0, wanted - new, missing))


def blind_alone(con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> bool:
    """Whether enough held-out listings are blind to judge alone."""
    shares = Shares.among_judges(settings)
    return heldout.blind_alone(con, settings.heldout_most, settings.heldout_least, shares)


def last_began_ms(con: duckdb.DuckDBPyConnection) -> int:
    """When the last round was ordered, its last attempt; 0 before the first."""
    return _one(con, "SELECT coalesce(max(requested_ms), 0) FROM store.rounds")


def _scheduled_in_ms(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, now_ms: int
) -> int | None:
    """Before the first round the oldest sample counts that is not held out; without one nothing is
    scheduled."""
    if not settings.retrain_every_hours:
        return None
    since = last_began_ms(con) or _one(
        con, "SELECT min(timestamp_ms) FROM store.samples WHERE NOT held_out"
    )
    if not since:
        return None
    return max(0, since + round(settings.retrain_every_hours * _HOUR_MS) - now_ms)


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    return int(row[0] or 0) if row else 0
