"""Tests and intervals for one look at an end that was fixed before. Looked at earlier, or again and
again, they are wrong more often than they say; they stand beside the sequences since papers give
them. All p-values are two-sided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from scipy.special import ndtr, ndtri  # scipy.stats takes 0.7 s to import

from streams.statistics.bounds import Bounds


@dataclass(frozen=True)
class ZTest:
    """A statistic that is standard normal where nothing differs, and its two-sided p-value."""

    z: float
    p_value: float


@dataclass(frozen=True)
class Ratio:
    """A ratio of two sums over sellers, and its standard error."""

    value: float
    error: float

    def bounds(self, alpha: float = 0.05) -> Bounds:
        """The normal interval."""
        reach = -float(ndtri(alpha / 2)) * self.error
        return Bounds(self.value - reach, self.value + reach)


def two_proportion_z(accepted: int, shown: int, other_accepted: int, other_shown: int) -> ZTest:
    """Whether two shares differ, first minus second, by the pooled z-test.

    Raises:
        ValueError: nothing was shown in an arm.
    """
    _check(accepted, shown)
    _check(other_accepted, other_shown)
    pooled = (accepted + other_accepted) / (shown + other_shown)
    error = sqrt(pooled * (1 - pooled) * (1 / shown + 1 / other_shown))
    return normal_test(accepted / shown - other_accepted / other_shown, error)


def normal_test(difference: float, error: float) -> ZTest:
    """Whether a difference with this standard error is not 0."""
    if error == 0:
        return (
            ZTest(0.0, 1.0) if difference == 0 else ZTest(float(np.copysign(inf, difference)), 0.0)
        )
    z = difference / error
    return ZTest(z, float(2 * ndtr(-abs(z))))


def ratio_delta(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """sum(numerators) / sum(denominators) of sellers, with its standard error by the delta method.

    Sellers are the clusters: what one seller does with one value resembles what they do with the
    next, and a test that counts values takes one seller's taste for much evidence.

    Raises:
        ValueError: fewer than two sellers, not as many of one as of the other, or all
            denominators 0.
    """
    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    if len(top) != len(bottom) or len(top) < 2 or bottom.sum() == 0:
        raise ValueError("a ratio needs two sellers at least, and a denominator that is not 0")
    value = float(top.sum() / bottom.sum())
    parts = (top - value * bottom) / bottom.mean()
    return Ratio(value, float(parts.std(ddof=1) / sqrt(len(top))))


def _check(accepted: int, shown: int) -> None:
    if not 0 <= accepted <= shown or shown == 0:
        raise ValueError(
            f"{accepted} of {shown} is no share; give a whole above 0 and a part of it"
        )
