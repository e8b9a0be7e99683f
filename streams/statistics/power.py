"""How many sellers a comparison needs, by simulation of the sequence that will decide it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.statistics.betting import BettingDifference

Floats = npt.NDArray[np.float64]
Sellers = Callable[[np.random.Generator, int], Floats]
"""Draws that many sellers' closed numbers, each in [0, 1]."""


@dataclass(frozen=True)
class Needed:
    """Of simulated experiments, how many sellers of all arms, and of the treated one, decided them.

    A percentile is None where so many were not decided in the end. `decided`: the share that was.
    """

    median: int | None
    p90: int | None
    treated_median: int | None
    treated_p90: int | None
    decided: float


def sellers_needed(
    control: Sellers,
    treated: Sellers,
    share: float = 0.5,
    difference: float = 0.0,
    alpha: float = 0.05,
    most: int = 10_000,
    runs: int = 200,
    seed: int = 0,
) -> Needed:
    """Sellers until the bounds on treated - control leave out `difference`, of at most `most`.

    share: of the sellers in both arms, how many are treated.
    """
    total, of_treated = np.full(runs, np.inf), np.full(runs, np.inf)
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        arms = rng.random(most) < share
        numbers = np.where(arms, treated(rng, most), control(rng, most))
        pairs = zip(arms.tolist(), numbers.tolist(), strict=True)
        if decided := BettingDifference.over(pairs, alpha).refuted_at(difference):
            of_treated[run], total[run] = decided[0], sum(decided)
    return Needed(
        _percentile(total, 50),
        _percentile(total, 90),
        _percentile(of_treated, 50),
        _percentile(of_treated, 90),
        float(np.isfinite(total).mean()),
    )


def sellers_with(mean: float, values: int = 10, spread: float = 0.15) -> Sellers:
    """Made-up sellers who accept a share `mean` of `values` values each, on average.

    Sellers differ from each other by a standard deviation of `spread` before chance is added, or
    less near 0 and 1.
    """
    room = mean * (1 - mean)
    strength = max(room / spread**2 - 1, 2.0)

    def draw(rng: np.random.Generator, n: int) -> Floats:
        if room <= 0:
            return np.full(n, mean)
        own = rng.beta(mean * strength, (1 - mean) * strength, n)
        return rng.binomial(values, own, n) / values

    return draw


def sellers_like(numbers: npt.ArrayLike) -> Sellers:
    """Sellers drawn from those that were seen.

    Raises:
        ValueError: there are none.
    """
    seen = np.asarray(numbers, float)
    if not len(seen):
        raise ValueError("no seller has been seen yet; plan with `sellers_with` instead")
    return lambda rng, n: rng.choice(seen, n)


def _percentile(numbers: Floats, percent: float) -> int | None:
    found = float(np.percentile(numbers, percent, method="higher"))
    return int(found) if np.isfinite(found) else None
