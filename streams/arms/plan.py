"""How many sellers an experiment will need, before it starts: by simulation of the very sequence
that will decide it, on sellers like those that were seen.

What is planned is acceptance, a number per seller, and a difference in it from the control. The
sequence decides when its bounds leave out 0. It is looked at after every seller.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import numpy as np
import numpy.typing as npt

from streams.arms.observed import ArmsError, Ask
from streams.statistics.power import Needed, Sellers, sellers_like, sellers_needed, sellers_with

WEEK = timedelta(days=7)
LEAST_SEEN = 20
"""Fewer sellers than this say too little of how much sellers differ."""


@dataclass(frozen=True)
class Seen:
    """What the pool says of sellers: acceptance of each, at the first reviewed answer; and how many
    of them review in a day. None without a day's traffic."""

    acceptance: Sequence[float]
    sellers_a_day: float | None


@dataclass(frozen=True)
class Planned:
    """What one arm will need to be told from the control. Days are None without traffic, or where
    the simulations did not come to an end."""

    arm: str
    share: float
    difference: float
    needed: Needed
    days_median: float | None
    days_p90: float | None


def seen(ask: Ask) -> Seen:
    """What the pool says of the sellers so far.

    A day's sellers are those of the last week that there was a review in, divided by its days: who
    returns counts once. So an experiment longer than that takes somewhat longer than planned.
    """
    _, rows = ask("SELECT shown, accepted, first_at, last_at FROM sellers ORDER BY first_at")
    acceptance = [accepted / shown for shown, accepted, _, _ in rows if shown]
    return Seen(acceptance, _a_day([(first, last) for _, _, first, last in rows]))


def _a_day(reviewed: Sequence[tuple[datetime, datetime]]) -> float | None:
    if not reviewed:
        return None
    end = max(last for _, last in reviewed)
    begin = max(min(first for first, _ in reviewed), end - WEEK)
    days = (end - begin) / timedelta(days=1)
    return sum(last >= begin for _, last in reviewed) / days if days > 0 else None


def observed_sellers(known: Seen) -> Sellers:
    """Sellers like those that were seen.

    Raises:
        ArmsError: too few were.
    """
    if len(known.acceptance) < LEAST_SEEN:
        raise ArmsError(
            f"only {len(known.acceptance)} sellers have reviewed a suggestion so far, of "
            f"{LEAST_SEEN} that a plan needs; give --acceptance and --spread"
        )
    return sellers_like(known.acceptance)


def assumed_sellers(acceptance: float, spread: float, values: int) -> Sellers:
    """Sellers who accept a share `acceptance` of `values` suggestions on average, and differ from
    each other by a standard deviation of `spread`."""
    return sellers_with(acceptance, values, spread)


def changed(sellers: Sellers, difference: float, mean: float) -> Sellers:
    """The same sellers when acceptance is higher by `difference`, of a mean of `mean`.

    What is missing to 1 (or to 0) shrinks for all by one factor, so that nobody leaves the range.

    Raises:
        ArmsError: there is no room for it.
    """
    if not 0 < mean + difference < 1:
        raise ArmsError(
            f"acceptance is {mean:.2f}, so that it cannot be {mean + difference:.2f}; "
            "give a smaller --difference"
        )

    def draw(rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
        own = sellers(rng, n)
        if difference < 0:
            return own * (1 + difference / mean)
        return own + (1 - own) * difference / (1 - mean)

    return draw


def plan(
    sellers: Sellers,
    shares: Mapping[str, float],
    difference: float,
    sellers_a_day: float | None,
    most: int,
    runs: int,
    tick: Callable[[], None] = lambda: None,
) -> list[Planned]:
    """Sellers and days for each arm but the first, which is the control.

    Args:
        sellers: what sellers accept under the control.
        shares: arm to its share of all sellers, the control first.
        difference: in acceptance, arm minus control, that is to be seen.
        most: sellers of both arms at which a simulated experiment is given up.
        runs: simulated experiments for each arm.
        tick: called after each of them.
    """
    control, *_ = shares
    # One long draw, so that the wanted difference is exact for the sellers that are drawn.
    mean = float(sellers(np.random.default_rng(0), 100_000).mean())
    better = changed(sellers, difference, mean)

    def counted(rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
        tick()
        return better(rng, n)

    found = []
    for arm, share in islice(shares.items(), 1, None):
        both = share + shares[control]
        needed = sellers_needed(sellers, counted, share / both, most=most, runs=runs)
        a_day = sellers_a_day * both if sellers_a_day else None
        found.append(
            Planned(
                arm,
                share,
                difference,
                needed,
                _days(needed.median, a_day),
                _days(needed.p90, a_day),
            )
        )
    return found


def _days(sellers: int | None, a_day: float | None) -> float | None:
    return sellers / a_day if sellers and a_day else None
