"""Whether sellers accept less of the champion's values than they did: a `DropAlarm`
(`streams.statistics.betting`) on the pool.

The unit is a seller, or a listing without one, once in each `window_hours`: the first review there
of an answer that the champion gave, by the order of the log. Its number is values accepted / values
shown, and never changes afterwards. Of a seller's next reviews, which resemble that one, none
counts until the next window. The first `reference_sellers` give the reference; the ones after
them are watched. An alarm that a round has answered to is over: the watch begins anew with that
round. All of it follows from the log since the champion went live, so that a crash or a rebuild
finds the same; where a rebuild no longer has the first reviews, the reference is that of the first
that are there.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import duckdb

from schemas.events import ModelEventKind
from streams import metrics
from streams.pool.state import Champion, champion, find_adapter, parent_of
from streams.settings import StreamsSettings
from streams.statistics.betting import LOOKS_A_YEAR, DropAlarm

# The look joins all reviews of the champion, and what it looks for takes hours to show.
LOOK_EVERY_MS = 300_000
# Of what is watched the newest so many: what happened before them has been answered to, or passed.
MOST = 10_000
_HOUR_MS = 3_600_000

_CLOSED = """
WITH reviewed AS (
    SELECT split_part(p.listing_id, chr(31), 1) AS seller, r.timestamp_ms // $window AS span,
           r.accepted / r.shown AS share,
           {'ms': r.timestamp_ms, 'offset': r."offset", 'partition': r.partition} AS place
    FROM store.predictions p JOIN store.reviews r USING (prediction_id)
    WHERE p.adapter_hash = $champion AND p.purpose = 'live' AND p.status = 'ok' AND r.shown > 0
      AND p.timestamp_ms >= $since
),
closed AS (
    SELECT arg_min(share, place) AS share, min(place) AS place FROM reviewed GROUP BY seller, span
)
SELECT share, place.ms AS timestamp_ms, n
FROM (SELECT *, row_number() OVER (ORDER BY place) AS n, count(*) OVER () AS n_all FROM closed)
WHERE n <= $learned OR n > n_all - $most ORDER BY n
"""


@dataclass(frozen=True)
class Alarm:
    """What the alarm says of a champion.

    wealth: of the bets, in shares of what raises it. reference: acceptance that it is held against;
    None while too few have reviewed. now: of the newest `reference_sellers` watched, or as many as
    there are. n: sellers watched.
    """

    wealth: float = 0.0
    raised: bool = False
    reference: float | None = None
    now: float | None = None
    n: int = 0

    def in_words(self) -> str:
        """For a person; empty where it has nothing to say."""
        if self.reference is None or self.now is None:
            return ""
        fell = f"acceptance {self.now:.2f} of {self.n}, reference {self.reference:.2f}"
        if self.raised:
            return f"drift alarm: {fell}"
        # Below a tenth it is where every alarm is most of the time.
        return f"drift alarm at {self.wealth:.0%}: {fell}" if self.wealth >= 0.1 else ""


class DriftWatch:
    """The alarm on the champion's acceptance, looked at now and then."""

    def __init__(self, con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
        self._con = con
        self._settings = settings
        self._seen: tuple[object, ...] | None = None
        self._alarm = Alarm()
        self._told: str | None = None  # what a worker before this one told is not known

    def __call__(self, now_ms: int) -> Alarm:
        """What it says by the last look; a new champion or a new round is a reason for one."""
        row = self._con.execute(
            "SELECT adapter_hash, since_ms, (SELECT list(requested_ms ORDER BY requested_ms) "
            "FROM store.rounds WHERE requested_ms >= since_ms) FROM store.champion"
        ).fetchone()
        assert row is not None
        adapter, since_ms, rounds = row[0], row[1], tuple(row[2] or ())
        seen = (adapter, since_ms, rounds, now_ms // LOOK_EVERY_MS)
        if seen != self._seen:
            self._seen = seen
            self._tell(self._look(adapter, since_ms, rounds))
        return self._alarm

    def _tell(self, alarm: Alarm) -> None:
        if (words := alarm.in_words()) != self._told:
            self._con.execute(
                "INSERT OR REPLACE INTO store.meta VALUES ('drift_alarm', ?)", [words]
            )
        metrics.DRIFT_WEALTH.set(alarm.wealth)
        self._alarm, self._told = alarm, words

    def _look(self, adapter: str, since_ms: int, rounds: tuple[int, ...]) -> Alarm:
        drift = self._settings.drift
        learned = 0 if drift.reference else drift.reference_sellers
        found = self._con.execute(
            _CLOSED,
            {
                "champion": adapter,
                "since": since_ms,
                "window": max(1, round(drift.window_hours * _HOUR_MS)),
                "learned": learned,
                "most": MOST,
            },
        ).fetchnumpy()
        shares, times = found["share"].tolist(), found["timestamp_ms"].tolist()
        if len(shares) < learned:
            return Alarm()
        reference = drift.reference or sum(shares[:learned]) / learned
        said, watched = _unanswered(
            shares[learned:],
            times[learned:],
            rounds,
            partial(DropAlarm, reference, drift.tolerance),
        )
        if not watched:
            return Alarm(reference=reference)
        newest = watched[-drift.reference_sellers :]
        wealth = min(1.0, said.wealth / LOOKS_A_YEAR) if not said.raised else 1.0
        return Alarm(wealth, said.raised, reference, sum(newest) / len(newest), len(watched))


def _unanswered(
    shares: Sequence[float],
    times: Sequence[int],
    rounds: Sequence[int],
    make: Callable[[], DropAlarm],
) -> tuple[DropAlarm, Sequence[float]]:
    """What the alarm says since the last round that answered to it, and of which shares.

    Args:
        times: when each of `shares` was given, in milliseconds, rising.
        rounds: when rounds began, in milliseconds, rising.
        make: makes an alarm that has seen nothing.
    """
    alarm = make()
    for n, (share, ms) in enumerate(zip(shares, times, strict=True)):
        if n and ms // _HOUR_MS > times[n - 1] // _HOUR_MS:
            alarm.look()
        raised_before = alarm.raised
        alarm.update(share)
        if not alarm.raised or raised_before:
            continue
        answered = next((began for began in rounds if began >= ms), None)
        if answered is not None:
            rest = bisect_right(times, answered)
            later = [began for began in rounds if began > answered]
            return _unanswered(shares[rest:], times[rest:], later, make)
    return alarm, shares


def rollback_target(con: duckdb.DuckDBPyConnection) -> Champion | None:
    """The champion's parent, where the alarm may move the alias to it; else None.

    Once until the next promotion: where acceptance falls for all adapters, going back to a parent
    and then to its parent would end at the base, and help nobody.
    """
    row = con.execute("SELECT kind FROM store.alias_moves ORDER BY n DESC LIMIT 1").fetchone()
    if row is None or row[0] != ModelEventKind.PROMOTED:
        return None
    parent = parent_of(con, champion(con).hash)
    return find_adapter(con, parent) if parent else None
