"""Made-up sellers, judged by the real statistics (`streams.statistics`) and arms
(`schemas.experiment`).

A seller accepts each of ten values with a probability of their own; over all sellers it has the
mean of the arm and a standard deviation of 0.15 (`streams.statistics.power.sellers_with`). A seller
who comes back keeps their probability: that is why their reviews are no evidence of their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from schemas.experiment import Arm, Experiment
from streams.statistics.betting import LOOKS_A_YEAR, BettingDifference, DropAlarm
from streams.statistics.power import Sellers, sellers_with
from streams.statistics.srm import SampleRatioSequence

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

VALUES, ACCEPTANCE, SPREAD = 10, 0.5, 0.15
ERROR = 0.05
NEVER = float("inf")
LEAST = 30
"""Reviews of each arm before the plain z-test is first looked at, so that it is not blamed for what
a handful of numbers does to a normal distribution."""


@dataclass(frozen=True)
class Traffic:
    """Reviews in the log's order: whose arm is the treated one, and what they accepted."""

    treated: Flags
    accepted: Floats
    first: Flags
    """Whether it is the seller's first review."""

    def of_first_reviews(self) -> "Traffic":
        """One number a seller: the closed one."""
        kept = self.first
        return Traffic(self.treated[kept], self.accepted[kept], kept[kept])


def each_once(rng: np.random.Generator, sellers: int, share: float) -> Traffic:
    """Arms that are alike, and no seller comes twice."""
    numbers = sellers_with(ACCEPTANCE, VALUES, SPREAD)(rng, sellers)
    return Traffic(rng.random(sellers) < share, numbers, np.ones(sellers, bool))


def returning(rng: np.random.Generator, reviews: int, share: float, each: int = 10) -> Traffic:
    """Arms that are alike; a seller comes `each` times on average, some far more often."""
    sellers = reviews // each
    strength = ACCEPTANCE * (1 - ACCEPTANCE) / SPREAD**2 - 1
    own = rng.beta(ACCEPTANCE * strength, (1 - ACCEPTANCE) * strength, sellers)
    often = rng.exponential(1.0, sellers)
    who = rng.choice(sellers, reviews, p=often / often.sum())
    arms = rng.random(sellers) < share
    first = np.zeros(reviews, bool)
    first[np.unique(who, return_index=True)[1]] = True
    return Traffic(arms[who], rng.binomial(VALUES, own[who]) / VALUES, first)


def betting_wrong_at(traffic: Traffic) -> float:
    """After how many reviews the betting sequence calls the arms different."""
    numbers = zip(traffic.treated.tolist(), traffic.accepted.tolist(), strict=True)
    found = BettingDifference.over(numbers, ERROR).refuted_at(0.0)
    return float(sum(found)) if found else NEVER


def z_wrong_at(traffic: Traffic, over_values: bool) -> tuple[float, bool]:
    """The same by a plain z-test, and whether it does so at the end alone.

    over_values: as papers have it, the two-proportion test, which takes each value for evidence of
    its own; else over the reviews, by their own spread.
    """
    found = np.abs(_z_by_review(traffic, over_values)) > norm.isf(ERROR / 2)
    looks = np.flatnonzero(found)
    return (float(looks[0]) + 1 if len(looks) else NEVER), bool(found[-1])


def _z_by_review(traffic: Traffic, over_values: bool) -> Floats:
    """z after each review; 0 before each arm has `LEAST` of them."""
    counts, sums, squares = (
        [np.cumsum(np.where(arm, x, 0.0)) for arm in (traffic.treated, ~traffic.treated)]
        for x in (1.0, traffic.accepted, traffic.accepted**2)
    )
    n, m = (np.maximum(count, 1) for count in counts)
    one, other = sums[0] / n, sums[1] / m
    if over_values:
        pooled = (sums[0] + sums[1]) / (n + m)
        variance = pooled * (1 - pooled) * (1 / n + 1 / m) / VALUES
    else:
        variance = (squares[0] / n - one**2) / n + (squares[1] / m - other**2) / m
    enough = (np.minimum(*counts) >= LEAST) & (variance > 0)
    z: Floats = np.where(enough, (one - other) / np.sqrt(np.maximum(variance, 1e-12)), 0.0)
    return z


def mismatch_at(share: float, sellers: int, seed: int, alpha: float = ERROR) -> float:
    """After how many sellers the check finds that an arm of two does not get its half."""
    check = SampleRatioSequence({"control": 0.5, "treated": 0.5})
    control = np.random.default_rng(seed).random(sellers) < share
    for number, first in enumerate(control.tolist(), 1):
        check.update("control" if first else "treated")
        if check.mismatch(alpha):
            return float(number)
    return NEVER


@dataclass(frozen=True)
class Assigned:
    """Assignments of the same sellers while shares grew."""

    assignments: int
    switches: int
    into_arms: int
    """How many came from no arm into one, which is no switch."""
    wanted: dict[str, float]
    realised: dict[str, float]


def assign(sellers: int, steps: Sequence[dict[str, float]]) -> Assigned:
    """Assign `sellers` to arms again at each of `steps`, the shares wanted by then."""
    arms = tuple(Arm(name=name, answers="champion") for name in steps[-1])
    experiment = Experiment(name="growing", arms=arms)
    names = [f"seller-{number}" for number in range(sellers)]
    before: list[str | None] = [None] * sellers
    switches = into = 0
    for shares in steps:
        experiment = experiment.grown(shares)
        for number, name in enumerate(names):
            arm = experiment.arm_of(name)
            now, was = arm.name if arm else None, before[number]
            if now != was:
                switches += was is not None
                into += was is None
                before[number] = now
    realised = {arm.name: before.count(arm.name) / sellers for arm in arms}
    return Assigned(sellers * len(steps), switches, into, experiment.shares(), realised)


def false_alarms(mean: float, a_look: int, years: int, seed: int) -> int:
    """Alarms in so many years of 24 looks a day with `a_look` new reviews each; after an alarm
    another one is set."""
    rng = np.random.default_rng([seed, a_look])
    alarms, alarm = 0, DropAlarm(ACCEPTANCE)
    draw = sellers_with(mean, VALUES, SPREAD)
    for _ in range(years):
        for look in draw(rng, LOOKS_A_YEAR * a_look).reshape(LOOKS_A_YEAR, a_look).tolist():
            if _looked(alarm, look):
                alarms, alarm = alarms + 1, DropAlarm(ACCEPTANCE)
    return alarms


def drop_seen_after(
    before: Sellers, after: Sellers, a_look: int, rng: np.random.Generator, most: int = 3000
) -> float:
    """Reviews from a drop until it is seen, at the end of a look, after 2,000 reviews without."""
    alarm = DropAlarm(ACCEPTANCE)
    for look in _looks(before(rng, 2000), a_look):
        if _looked(alarm, look):
            return 0.0
    for number, look in enumerate(_looks(after(rng, most), a_look), 1):
        if _looked(alarm, look):
            return float(number * a_look)
    return NEVER


def _looks(numbers: Floats, a_look: int) -> Iterator[list[float]]:
    for start in range(0, len(numbers) - a_look + 1, a_look):
        yield numbers[start : start + a_look].tolist()


def _looked(alarm: DropAlarm, numbers: Sequence[float]) -> bool:
    for x in numbers:
        alarm.update(x)
    return alarm.look()
