"""Whether an arm of the experiment that runs does surely more harm than its guardrail allows.

One betting sequence of each arm's net benefit against the control's, one closed number per seller
in the log's order. An arm that does no more harm than is allowed ends it with `canary.error` at
most, over all looks and all arms together. A blind arm has none:
it suggests nothing, so that its net benefit is 0 whatever happens.
"""

from collections.abc import Iterator

import duckdb

from schemas.experiment import BLIND, Arm, Experiment
from streams.pool.deciding.sellers import Pace, difference
from streams.settings import StreamsSettings
from streams.statistics.betting import BettingDifference
from streams.statistics.net_benefit import net_benefit, scaled


class Sellers:
    """The reviewed sellers of the experiment that runs, looked at now and then."""

    def __init__(self, con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
        self._con = con
        self._settings = settings
        self._name = ""
        self._pace = Pace()
        self._forget("")

    def counts(self, experiment: Experiment, now_ms: int) -> dict[str, int]:
        """How many have reviewed in each arm."""
        self._look(experiment, now_ms)
        return {arm.name: self._counted.get(arm.name, 0) for arm in experiment.arms}

    def harm(self, experiment: Experiment, now_ms: int) -> str | None:
        """The arm whose net benefit is surely lower than the control's by more than the guardrail,
        as a sentence; None where there is none, or no guardrail."""
        allowed = self._settings.experiment.guardrail
        if not allowed:
            return None
        self._look(experiment, now_ms)
        control, cost = experiment.control.name, self._settings.canary.cost_of_wrong
        for arm, sequence in self._sequences.items():
            surely = -sequence.bounds.high * (1 + cost)
            if surely > allowed:
                return (
                    f"the net benefit of arm {arm} is surely more than {allowed:g} below that of "
                    f"{control}: by {surely:.2f} at least, seen on {sequence.treated_n} and "
                    f"{sequence.control_n} sellers"
                )
        return None

    def _look(self, experiment: Experiment, now_ms: int) -> None:
        if experiment.name == self._name and not self._pace.is_due(now_ms):
            return
        if experiment.name != self._name:
            self._forget(experiment.name)
        with self._pace.looking(now_ms):
            if self._settings.experiment.guardrail:
                self._compare(experiment)
            else:
                self._count()

    def _forget(self, name: str) -> None:
        self._name = name
        self._counted: dict[str, int] = {}
        self._seen: set[str] = set()
        self._sequences: dict[str, BettingDifference] = {}

    def _count(self) -> None:
        self._counted = dict(
            self._con.execute(
                "SELECT arm, count(*) FROM main.arm_sellers WHERE experiment = ? GROUP BY arm",
                [self._name],
            ).fetchall()
        )

    def _compare(self, experiment: Experiment) -> None:
        """Takes in the sellers that are new, in the log's order."""
        guarded = [arm.name for arm in _guarded(experiment)]
        error = self._settings.canary.error / max(1, len(guarded))
        for arm in guarded:
            self._sequences.setdefault(arm, difference(error))
        for seller, arm, benefit in self._closed():
            if seller in self._seen:
                continue
            self._seen.add(seller)
            self._counted[arm] = self._counted.get(arm, 0) + 1
            if arm == experiment.control.name:
                for sequence in self._sequences.values():
                    sequence.update(False, benefit)
            elif arm in self._sequences:
                self._sequences[arm].update(True, benefit)

    def _closed(self) -> Iterator[tuple[str, str, float]]:
        """Seller, arm and net benefit, scaled to a number from 0 to 1."""
        cost = self._settings.canary.cost_of_wrong
        rows = self._con.execute(
            "SELECT seller, arm, asked, shown, accepted FROM main.arm_sellers "
            'WHERE experiment = ? AND asked > 0 ORDER BY closed_ms, "offset", partition',
            [self._name],
        ).fetchall()
        for seller, arm, asked, shown, accepted in rows:
            yield seller, arm, scaled(net_benefit(asked, shown, accepted, cost), cost)


def _guarded(experiment: Experiment) -> list[Arm]:
    return [arm for arm in experiment.arms[1:] if arm.answers != BLIND]
