"""The asymptotic confidence sequence: a normal interval that holds at all looks at once.

mean ± sd·sqrt(2(nρ² + 1)/(n²ρ²)·ln(sqrt(nρ² + 1)/α)), Waudby-Smith et al., arXiv 2103.06476. Like
the normal interval it leans on the central limit theorem, so its error is right from some dozens of
numbers on. It serves what has no bounds, such as times, and ratios by their delta method.
"""

from math import e, log, sqrt

from scipy.special import lambertw

from streams.statistics.bounds import Bounds


def asymptotic_bounds(
    n: int, mean: float, sd: float, alpha: float = 0.05, rho: float | None = None
) -> Bounds:
    """Bounds on a mean after `n` numbers with this mean and standard deviation.

    rho: chosen before the first number; by default narrowest at 500 numbers.

    Raises:
        ValueError: there is no number.
    """
    if n < 1:
        raise ValueError("bounds on a mean need a number at least")
    rho = optimal_rho(500, alpha) if rho is None else rho
    grown = n * rho**2 + 1
    reach = sd * sqrt(2 * grown / (n * rho) ** 2 * log(sqrt(grown) / alpha))
    return Bounds(mean - reach, mean + reach)


def optimal_rho(n: int, alpha: float = 0.05) -> float:
    """The ρ that makes the bounds narrowest after `n` numbers: nρ² = -W₋₁(-α²/e) - 1."""
    return sqrt((-lambertw(-(alpha**2) / e, k=-1).real - 1) / n)
