"""A new adapter on a share of sellers, before all get it: what their reviews say, and what follows.

One betting sequence of the difference in net benefit, canary against parent, over all looks. It has
two tails of `canary.error` each, so that two-sided its error is twice that. One tail calls an
adapter worse that is as good as its parent, the other lets one go to all that loses
`canary.margin`. No adapter is both, so none can suffer both mistakes, and dividing the error
between the tails would only make the canary longer. The bounds are an intersection over all looks:
what they once refuted stays refuted, and it does not matter how many sellers a look finds new.

A seller of the canary counts where its adapter did answer. Where the parent had to stand in, the
number says nothing of the adapter: one that cannot be loaded would look as good as its parent.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

import duckdb

from schemas.events import ModelEvent
from schemas.experiment import ADAPTER, CANARY, CANARY_ARM, CHAMPION, PARENT_ARM, Arm, Experiment
from streams.pool.deciding.sellers import Pace, Seller, difference, in_trial
from streams.pool.trials import Trial
from streams.statistics.betting import BettingMean
from streams.statistics.net_benefit import scaled
from streams.trials import CanarySettings, utc

# So many sellers whom the parent had to answer, and more than the adapter did, are no accident.
STAND_INS = 20
LONGEST_NAME = 100
HOUR_MS = 3_600_000

PASSED = "passed_gate"
"""In the details of the event that starts a canary: whether the gate had passed its adapter."""


class Outcome(StrEnum):
    """What a canary comes to."""

    TO_ALL = "to all"
    BACK = "back"


@dataclass(frozen=True)
class Reading:
    """What the sellers' closed numbers say. `low`, `high`: of the difference in net benefit, and
    `difference` the one that was observed, 0 before both arms have a seller."""

    sellers: int = 0
    parents: int = 0
    stand_ins: int = 0
    difference: float = 0.0
    low: float = -1.0
    high: float = 1.0

    def __str__(self) -> str:
        return (
            f"{self.sellers} sellers of the canary, {self.parents} of the parent, net benefit "
            f"{self.difference:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"
        )


def canary_name(adapter_id: str) -> str:
    """The experiment that tries this adapter. Another trainer's ids may be of any letters; the ends
    of long ones tell them apart."""
    return CANARY + re.sub(r"[^A-Za-z0-9._:-]", "-", adapter_id)[len(CANARY) - LONGEST_NAME :]


def experiment_of(proposal: ModelEvent, share: float) -> Experiment:
    """The canary of the adapter that `proposal` is about; all other sellers are its parent's."""
    adapter_id = str(proposal.adapter_id)
    tried = Arm(
        name=CANARY_ARM,
        answers=ADAPTER + adapter_id,
        adapter_id=adapter_id,
        adapter_hash=proposal.adapter_hash,
        adapter_uri=proposal.adapter_uri,
    )
    arms = (Arm(name=PARENT_ARM, answers=CHAMPION), tried)
    return Experiment(name=canary_name(adapter_id), arms=arms).grown(
        {PARENT_ARM: 1 - share, CANARY_ARM: share}
    )


class Canary:
    """Reads the sellers of the canary that runs, now and then."""

    def __init__(self, con: duckdb.DuckDBPyConnection, settings: CanarySettings) -> None:
        self._con, self._settings = con, settings
        self._name, self._pace = "", Pace()
        self._seen: list[Seller] = []
        self._sequence = difference(settings.error)
        self._reading = Reading()

    def read(self, trial: Trial, now_ms: int) -> Reading:
        """What the sellers of `trial` say by now, or said at the last look."""
        name = trial.experiment.name
        if name != self._name:
            self._name, self._seen, self._sequence = name, [], difference(self._settings.error)
        elif not self._pace.is_due(now_ms):
            return self._reading
        with self._pace.looking(now_ms):
            sellers = in_trial(self._con, name, trial.started_ms, self._settings.cost_of_wrong)
            self._reading = self._take(sellers, trial.experiment)
        return self._reading

    def decide(
        self, seen: Reading, trial: Trial, passed_gate: bool, now_ms: int
    ) -> tuple[Outcome, str] | None:
        """What the canary comes to, and why in one sentence; None while it is open.

        Args:
            passed_gate: whether its adapter has; a challenger must be better and not only no worse.
        """
        most = self._settings.most_sellers
        if seen.high < 0:
            return Outcome.BACK, f"sellers get less by it than by its parent: {seen}"
        if seen.low > self._least(passed_gate):
            more = "as much as" if passed_gate else "more than"
            return Outcome.TO_ALL, f"sellers get {more} by its parent: {seen}"
        undecided = Outcome.TO_ALL if passed_gate else Outcome.BACK
        if seen.sellers >= most:
            return undecided, f"undecided after {most} sellers: {seen}"
        last_ms = self._last_ms(trial)
        over = last_ms is not None and now_ms >= last_ms
        if seen.stand_ins >= (max(1, seen.sellers) if over else max(STAND_INS, seen.sellers)):
            return Outcome.BACK, (
                f"its parent had to answer {seen.stand_ins} sellers in its place, and `fell_back` "
                f"in their predictions says why: {seen}"
            )
        if over:
            return undecided, f"undecided after {self._settings.most_hours:g} hours: {seen}"
        return None

    def waits_for(self, seen: Reading, trial: Trial, passed_gate: bool) -> str:
        """For a person: where it stands, and what decides it."""
        last_ms = self._last_ms(trial)
        return (
            f"{seen}; decided when all of that is below 0 or above {self._least(passed_gate):g}, "
            f"at the latest at {self._settings.most_sellers} sellers"
            + ("" if last_ms is None else f" or {utc(last_ms)}")
        )

    def _last_ms(self, trial: Trial) -> int | None:
        """When it ends, however few sellers came."""
        hours = self._settings.most_hours
        return trial.started_ms + round(hours * HOUR_MS) if hours else None

    def _least(self, passed_gate: bool) -> float:
        return -self._settings.margin if passed_gate else 0.0

    def least_of_parent(self) -> float:
        """What the parent's net benefit surely is at least, by the canary's closed numbers: the
        lower confidence bound, with half of `canary.error` (the watch has the other half)."""
        cost = self._settings.cost_of_wrong
        mean = BettingMean(self._settings.error)  # of two sides, each with half of it
        for seller in self._seen:
            if seller.arm == PARENT_ARM:
                mean.update(scaled(seller.net_benefit, cost))
        return mean.bounds.low * (1 + cost) - cost

    def _take(self, sellers: list[Seller], experiment: Experiment) -> Reading:
        [tried] = [arm.adapter_hash for arm in experiment.arms if arm.name == CANARY_ARM]
        cost = self._settings.cost_of_wrong
        counted = [s for s in sellers if s.arm == PARENT_ARM or s.adapter_hash == tried]
        if counted[: len(self._seen)] != self._seen:
            # A prediction was read after its review, or a listing is forgotten.
            self._seen, self._sequence = [], difference(self._settings.error)
        for seller in counted[len(self._seen) :]:
            self._sequence.update(seller.arm == CANARY_ARM, scaled(seller.net_benefit, cost))
        self._seen = counted
        treated = [s.net_benefit for s in counted if s.arm == CANARY_ARM]
        parents = [s.net_benefit for s in counted if s.arm == PARENT_ARM]
        bounds = self._sequence.bounds
        return Reading(
            sellers=len(treated),
            parents=len(parents),
            stand_ins=len(sellers) - len(counted),
            difference=fmean(treated) - fmean(parents) if treated and parents else 0.0,
            low=bounds.low * (1 + cost),
            high=bounds.high * (1 + cost),
        )
