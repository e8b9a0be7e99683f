"""The watch after a canary: whether an adapter that went to all does as well as its parent did.

The sellers of a canary need not be like all others. So further sellers of the new champion are
compared with what the parent's net benefit surely was at least: the lower confidence bound of the
canary's control arm, which stands in the promotion's event. The mere mean is too high half the
time, and would call an adapter worse for its parent's luck; the bound is too high with half of
`canary.error`. A betting martingale against "at most `canary.margin` below it" has the other half,
over the whole watch: its bets never begin anew.

It compares two times. What changes for all sellers at once it takes for the adapter's doing; so it
ends after `canary.watch_sellers` of them, and with any other move of the alias.
"""

from dataclasses import dataclass, replace
from statistics import fmean

import duckdb

from streams.pool.deciding.canary import canary_name
from streams.pool.deciding.sellers import Pace, Seller, of_adapter
from streams.pool.trials import find
from streams.statistics.betting import DropAlarm
from streams.statistics.net_benefit import scaled
from streams.trials import CanarySettings

FOUND_SOONEST = 0.1
"""Of the scale of net benefit: how far below what is tolerated a drop is that bets find soonest."""


@dataclass(frozen=True)
class Watched:
    """A champion that is watched and what its sellers say: `net_benefit`, their mean. `tried_ms`:
    when its canary began. `most`: after so many sellers the watch is over. `raised`: they get less
    than the parent's did."""

    adapter_id: str
    adapter_hash: str
    tried_ms: int
    reference: float
    most: int
    sellers: int = 0
    net_benefit: float = 0.0
    raised: bool = False

    def __str__(self) -> str:
        return f"watching {self.adapter_id}: {self.sellers} of {self.most} sellers"


class Watch:
    """Reads the sellers of a champion that a canary let go to all, now and then."""

    def __init__(self, con: duckdb.DuckDBPyConnection, settings: CanarySettings) -> None:
        self._con, self._settings = con, settings
        self._since: tuple[object, ...] = ()
        self._pace = Pace()
        self._seen: list[Seller] = []
        self._alarm = self._new_alarm(0.0)
        self._watched: Watched | None = None

    def read(self, now_ms: int) -> Watched | None:
        """What is seen of the champion by now, or was at the last look; None where no canary
        let it go to all, or the watch is over."""
        if not self._settings.watch_sellers:
            return None
        row = self._con.execute(
            "SELECT adapter_id, adapter_hash, since_ms, watch_reference FROM store.alias_moves "
            "ORDER BY n DESC LIMIT 1"
        ).fetchone()
        if row is None or row[3] is None:
            return None
        if row != self._since:
            self._since, self._pace, self._seen = row, Pace(), []
            trial, most = find(self._con, canary_name(row[0])), self._settings.watch_sellers
            tried_ms = trial.started_ms if trial else row[2]
            self._watched = Watched(row[0], row[1], tried_ms, row[3], most)
            self._alarm = self._new_alarm(row[3])
        watched = self._watched
        assert watched is not None
        if not watched.raised and watched.sellers >= watched.most:
            return None
        if self._pace.is_due(now_ms):
            with self._pace.looking(now_ms):
                self._watched = watched = self._take(watched, self._sellers(watched, row[2]))
        return watched

    def _sellers(self, watched: Watched, since_ms: int) -> list[Seller]:
        """Who closed their number with this adapter since it went to all, in the log's order."""
        cost = self._settings.cost_of_wrong
        # Who closed it in the canary has had their say.
        sellers = of_adapter(self._con, watched.adapter_hash, watched.tried_ms, cost)
        return [seller for seller in sellers if seller.place[0] > since_ms][: watched.most]

    def _new_alarm(self, reference: float) -> DropAlarm:
        cost, scale = self._settings.cost_of_wrong, 1 + self._settings.cost_of_wrong
        tolerance = self._settings.margin / scale
        half = self._settings.error / 2
        return DropAlarm(scaled(reference, cost), tolerance, half, tolerance + FOUND_SOONEST)

    def _take(self, watched: Watched, sellers: list[Seller]) -> Watched:
        if sellers[: len(self._seen)] != self._seen:
            # A prediction was read after its review, or a listing is forgotten.
            self._seen, self._alarm = [], self._new_alarm(watched.reference)
        for seller in sellers[len(self._seen) :]:
            self._alarm.update(scaled(seller.net_benefit, self._settings.cost_of_wrong))
        self._seen = sellers
        mean = fmean([seller.net_benefit for seller in sellers]) if sellers else 0.0
        return replace(watched, sellers=len(sellers), net_benefit=mean, raised=self._alarm.raised)
