"""Made-up sellers, watched by the real alarm as `streams.pool.deciding.drift` watches: one number a
seller, a reference that is learned from the first ones, and bets that may begin anew each hour."""

from collections.abc import Iterable

import numpy as np

from streams.statistics.betting import LOOKS_A_YEAR, DropAlarm
from streams.statistics.power import Floats, Sellers, sellers_with

SPREAD = 0.15
"""Sellers differ from each other by this standard deviation, before chance is added."""
HOURS_A_DAY = 24
MOST_BEFORE, MOST_AFTER = 2000, 4000
"""Reviews of a run before acceptance falls, at random up to so many, and after it."""
NEVER = float("inf")


def watch(shares: Iterable[float], an_hour: int, alarm: DropAlarm) -> int | None:
    """After how many of `shares`, so many an hour, the alarm is raised; None where it is not."""
    for number, share in enumerate(shares):
        if number and number % an_hour == 0:
            alarm.look()
        alarm.update(share)
        if alarm.raised:
            return number + 1
    return None


def alarms_in_a_year(shares: Floats, an_hour: int, reference: float, tolerance: float) -> int:
    """How often it is raised on `shares`, where each alarm is answered to and the watch goes on."""
    alarms, left = 0, shares.tolist()
    while (after := watch(left, an_hour, DropAlarm(reference, tolerance))) is not None:
        alarms, left = alarms + 1, left[after:]
    return alarms


def a_year_of_new(sellers: Sellers, an_hour: int, rng: np.random.Generator) -> Floats:
    """A year of sellers each of whom comes once."""
    return sellers(rng, LOOKS_A_YEAR * an_hour)


def a_year_of_returning(
    mean: float, values: int, count: int, an_hour: int, rng: np.random.Generator
) -> Floats:
    """A year of `count` sellers who come on some days, at most once on each, in random order, and
    each of whom keeps an acceptance of their own."""
    own = sellers_with(mean, 1000, SPREAD)(rng, count)  # of a thousand values: nearly their own
    own += mean - own.mean()
    days = [rng.permutation(count)[: an_hour * HOURS_A_DAY] for _ in range(365)]
    return rng.binomial(values, np.clip(own[np.concatenate(days)], 0, 1)) / values


def seen_after(
    before: Sellers,
    after: Sellers,
    an_hour: int,
    learned: int,
    tolerance: float,
    rng: np.random.Generator,
) -> float:
    """Reviews from a fall of acceptance to the alarm; 0 where it was raised before, `NEVER` where
    it was not within `MOST_AFTER`. It falls at any moment of an hour."""
    reference = float(before(rng, learned).mean())
    good = before(rng, int(rng.integers(0, MOST_BEFORE)))
    shares = np.concatenate([good, after(rng, MOST_AFTER)]).tolist()
    found = watch(shares, an_hour, DropAlarm(reference, tolerance))
    return NEVER if found is None else float(max(0, found - len(good)))
