"""The asymptotic confidence sequence, beside `ville`'s."""

import numpy as np
import pytest
import ville
from scipy.stats import norm

from streams.statistics.asymptotic import asymptotic_bounds, optimal_rho


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("n", [2, 40, 500, 5000])
def test_the_bounds_are_those_of_another_implementation(n: int, alpha: float) -> None:
    x = np.random.default_rng(n).exponential(3.0, n)
    oracle = ville.AsymptoticCS(alpha=alpha, t_opt=500, min_samples=2).fit(x)
    found = asymptotic_bounds(n, x.mean(), x.std(ddof=1), alpha, optimal_rho(500, alpha))
    assert (found.low, found.high) == pytest.approx(oracle.interval())


@pytest.mark.parametrize("n", [50, 500])
def test_the_best_rho_makes_the_bounds_narrowest(n: int) -> None:
    best = optimal_rho(n)

    def width(rho: float) -> float:
        found = asymptotic_bounds(n, 0.0, 1.0, rho=rho)
        return found.high - found.low

    assert width(best) < min(width(0.9 * best), width(1.1 * best))


def test_to_look_always_costs_less_than_double_the_width() -> None:
    found = asymptotic_bounds(500, 0.0, 1.0)
    once = 2 * norm.isf(0.025) / np.sqrt(500)
    assert once < found.high - found.low < 2 * once


def test_bounds_from_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="need a number at least"):
        asymptotic_bounds(0, 0.0, 1.0)


def test_looking_after_every_number_is_wrong_in_at_most_five_percent_of_runs() -> None:
    runs, most, least = 500, 1000, 30
    x = np.random.default_rng(0).exponential(1.0, (runs, most)) - 1
    wrong = np.zeros(runs, bool)
    for n in range(least, most + 1, 10):
        for run in np.flatnonzero(~wrong):
            seen = x[run, :n]
            found = asymptotic_bounds(n, seen.mean(), seen.std(ddof=1))
            wrong[run] = not found.low <= 0 <= found.high
    assert wrong.mean() <= 0.05
