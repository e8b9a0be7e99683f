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
    low, high = np.quantile(ratio.over(draws), [0.025, 0.975])
    return Interval(value=ratio.value, low=float(low), high=float(high))
