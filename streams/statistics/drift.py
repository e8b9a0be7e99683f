"""An alarm on a falling mean that never stops watching: an e-detector, made of bets that restart.

Each hour that has an observation a new gambler begins with 1 and bets, observation by observation,
that the mean is lower than `least`; nobody bets more than the other gamblers' money. The sum of all
their money is the Shiryaev-Roberts e-detector (Shin, Ramdas and Rinaldo, arXiv 2203.03532). While
the mean is `least` or more, whatever came before, the sum less the hours begun is a
supermartingale. So the expected time until the sum is `hours` is `hours` or more, however many
observations an hour has and however often one looks. One martingale that starts once has no such
end: it would have lost all its money by the day on which something changes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOURS_A_YEAR = 24 * 365
BETS = (0.25, 0.5, 1.0, 2.0)
"""Of the money, for each point that an observation is below `least`; the gamblers play all."""
_MOST_LOST = 0.9
"""Of the money, by one observation of 1: a bet of all could never be made good."""


@dataclass(frozen=True)
class Drop:
    """What the alarm says of the observations so far.

    wealth: the highest sum of money so far, in shares of the threshold: 1 raises the alarm.
    raised_at: the number of observations by which it was raised first; None where it was not.
    """

    n: int
    wealth: float
    raised_at: int | None

    @property
    def raised(self) -> bool:
        """Whether the mean has fallen below `least`, as far as one false alarm a year allows."""
        return self.raised_at is not None


def evidence(shares: Floats, hours: NDArray[np.int64], least: float) -> Floats:
    """The logarithm of all gamblers' money after each observation, shape (n,).

    Args:
        shares: shape (n,), each in [0, 1], in the order in which they came.
        hours: shape (n,), in which hour each came; a new number starts a gambler for each bet.
        least: the mean that is still good, in (0, 1).
    """
    begins = np.ones(len(hours), dtype=bool)
    begins[1:] = hours[1:] != hours[:-1]
    total = np.full(len(shares), -np.inf)
    for bet in BETS:
        gain = np.log1p(min(bet, _MOST_LOST / (1 - least)) * (least - shares))
        money = np.cumsum(gain)
        # A gambler who begins before observation k has exp(money[n] - money[k - 1]) after n.
        began = np.logaddexp.accumulate(np.where(begins, gain - money, -np.inf))
        total = np.logaddexp(total, money + began)
    return np.asarray(total - np.log(len(BETS)))


def drop(
    shares: Floats, hours: NDArray[np.int64], least: float, threshold: float = HOURS_A_YEAR
) -> Drop:
    """Whether the mean of `shares` fell below `least`, anywhere in them.

    Args:
        threshold: hours that pass on average, or more, until a false alarm.

    Others: as `evidence`.
    """
    if not len(shares) or not 0 < least < 1:
        return Drop(len(shares), 0.0, None)
    found = evidence(shares, hours, least) - np.log(threshold)
    over = np.flatnonzero(found >= 0)
    wealth = float(np.exp(min(found.max(), 50.0)))
    return Drop(len(shares), wealth, int(over[0]) + 1 if len(over) else None)
