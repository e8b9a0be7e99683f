"""Bootstrap intervals, clustered by listing: attributes of one listing stand or fall together.

Every measure is made of ratios of two sums over listings, so a draw of listings with replacement is
a vector of counts, and all draws are two matrix products. The same draws serve every measure and
both sides of a comparison, which makes the comparison a paired one.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

import numpy as np
import numpy.typing as npt

from schemas.events import Interval

Floats = npt.NDArray[np.float64]

ONE_SIDED_Z = 1.6449  # the normal distribution's 95 % point


class Measure(Protocol):
    """Something that an adapter is judged by, over listings."""

    @property
    def value(self) -> float:
        """It over all listings."""
        ...

    def over(self, draws: Floats) -> Floats:
        """It in each of `draws`, (draws, listings) counts; shape (draws,)."""
        ...


@dataclass(frozen=True)
class Ratio:
    """A measure as sum(numerator) / sum(denominator) over listings; both of shape (listings,).

    Nothing to divide by gives 0: an adapter that suggests nothing has precision 0, so that it never
    looks better than one that suggests something.
    """

    numerator: Floats
    denominator: Floats

    @property
    def value(self) -> float:
        """The ratio over all listings."""
        return float(self.over(np.ones((1, len(self.numerator))))[0])

    def over(self, draws: Floats) -> Floats:
        """The ratio in each of `draws`, (draws, listings) counts; shape (draws,)."""
        above, below = draws @ self.numerator, draws @ self.denominator
        return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


@dataclass(frozen=True)
class ProductOfRatios:
    """A measure that is the product of two others."""

    one: Ratio
    other: Ratio

    @property
    def value(self) -> float:
        """The product over all listings."""
        return self.one.value * self.other.value

    def over(self, draws: Floats) -> Floats:
        """The product in each of `draws`, (draws, listings) counts; shape (draws,)."""
        return self.one.over(draws) * self.other.over(draws)


def student_t(alpha: float, degrees: int) -> float:
    """What Student's t exceeds with probability `alpha`, to 1 % from 10 `degrees` of freedom on.

    The expansion around the normal quantile; Abramowitz and Stegun, 26.7.5.
    """
    z = NormalDist().inv_cdf(1 - alpha)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2


def standard_error(sample: Floats, listings: int) -> float:
    """Of a measure whose bootstrap draws are `sample`: their spread is too narrow for few listings
    by the factor that turns n into n - 1."""
    return float(sample.std()) * math.sqrt(listings / (listings - 1))


def draw_listings(listings: int, draws: int, seed: int) -> Floats:
    """How often each listing is in each draw: (draws, listings), each row summing to `listings`."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(listings, [1 / listings] * listings, size=draws).astype(np.float64)


def interval(measure: Measure, draws: Floats) -> Interval:
    """The measure with its two-sided 95 % interval."""
    return two_sided(measure.value, measure.over(draws))


def paired(before: Measure, after: Measure, draws: Floats) -> Floats:
    """after - before in each of `draws`, both over the same listings; shape (draws,)."""
    return after.over(draws) - before.over(draws)


def paired_interval(before: Measure, after: Measure, draws: Floats) -> Interval:
    """after - before with its two-sided 95 % interval."""
    return two_sided(after.value - before.value, paired(before, after, draws))


def two_sided(value: float, sample: Floats) -> Interval:
    """`value` with the two-sided 95 % interval of its bootstrap draws."""
    low, high = np.quantile(sample, [0.025, 0.975])
    return Interval(value=value, low=float(low), high=float(high))
