"""Bootstrap intervals, clustered by listing: attributes of one listing stand or fall together.

Every metric is a ratio of two sums over listings, so a draw of listings with replacement is a
vector of counts, and all draws are two matrix products. The same draws serve every metric and both
sides of a comparison, which makes the comparison a paired one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.events import Interval

Floats = npt.NDArray[np.float64]

ONE_SIDED = 0.05
ONE_SIDED_Z = 1.6449  # the normal distribution's 95 % point


@dataclass(frozen=True)
class Ratio:
    """A metric as sum(numerator) / sum(denominator) over listings; both of shape (listings,).

    Nothing to divide by gives 0: an adapter that suggests nothing has precision 0, so that it never
    looks better than one that suggests something.
    """

    numerator: Floats
    denominator: Floats

    @property
    def value(self) -> float:
        """The metric over all listings, 0 to 1."""
        return float(self.over(np.ones((1, len(self.numerator))))[0])

    def over(self, draws: Floats) -> Floats:
        """The metric in each of `draws`, (draws, listings) counts; shape (draws,)."""
        above, below = draws @ self.numerator, draws @ self.denominator
        return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def draw_listings(listings: int, draws: int, seed: int) -> Floats:
    """How often each listing is in each draw: (draws, listings), each row summing to `listings`."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(listings, [1 / listings] * listings, size=draws).astype(np.float64)


def interval(ratio: Ratio, draws: Floats) -> Interval:
    """The metric with its two-sided 95 % interval."""
    return _two_sided(ratio.value, ratio.over(draws))


def paired(before: Ratio, after: Ratio, draws: Floats) -> Floats:
    """after - before in each of `draws`, both over the same listings; shape (draws,)."""
    return after.over(draws) - before.over(draws)


def paired_interval(before: Ratio, after: Ratio, draws: Floats) -> Interval:
    """after - before with its two-sided 95 % interval."""
    return _two_sided(after.value - before.value, paired(before, after, draws))


def _two_sided(value: float, sample: Floats) -> Interval:
    low, high = np.quantile(sample, [0.025, 0.975])
    return Interval(value=value, low=float(low), high=float(high))
