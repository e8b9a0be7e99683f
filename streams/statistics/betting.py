"""Betting confidence sequences: bounds on a mean that hold at all looks at once.

Numbers must be bounded and, given the past, have one mean: a closed number a seller. Whoever bets
against a mean that is true does not get rich: capital that starts at 1 ever reaches 1/error with a
probability of at most `error` (Ville's inequality). So a mean at which somebody *did* get rich is
refuted, and stays so: the bounds are a running intersection. Waudby-Smith and Ramdas,
arXiv 2010.09686: the hedged capital process of Theorem 3, with the predictable plug-in bets (26).
Capital falls in the mean that is bet against, so the bounds are found by bisection and no grid is
needed.

A sequence of *reviews* of returning sellers has no such mean and is refuted by chance far too
often. A difference that drifts may refute every constant one; see `BettingMean.bounds`.
"""

from collections.abc import Iterable
from math import exp, log, log1p

import numpy as np
import numpy.typing as npt

from streams.statistics.bounds import Bounds

Floats = npt.NDArray[np.float64]

TRUNCATION = 0.75
"""The share of the capital that one bet may lose (the paper's c; it names 1/2 and 3/4). The larger
one finds a large harm sooner."""
HALVINGS = 40
LOOKS_A_YEAR = 24 * 365
"""At one look an hour."""


class BettingMean:
    """Bounds on the mean of numbers from `low` to `high`, with error `alpha` over all looks."""

    def __init__(self, alpha: float = 0.05, low: float = 0.0, high: float = 1.0) -> None:
        if not 0 < alpha < 1 or not low < high:
            raise ValueError("alpha must lie between 0 and 1, and `low` below `high`")
        self.alpha = alpha
        self._low, self._width = low, high - low
        self._seen: list[float] = []
        self._bounds: Bounds | None = None

    @property
    def n(self) -> int:
        """How many numbers it has seen."""
        return len(self._seen)

    def update(self, x: float) -> None:
        """Take in the next number.

        Raises:
            ValueError: it is not from `low` to `high`.
        """
        scaled = (x - self._low) / self._width
        if not -1e-9 <= scaled <= 1 + 1e-9:
            raise ValueError(f"{x} is not from {self._low:g} to {self._low + self._width:g}")
        self._seen.append(min(max(scaled, 0.0), 1.0))
        self._bounds = None

    @property
    def bounds(self) -> Bounds:
        """Where the mean is, in about 2 ms per thousand numbers.

        Where the mean drifts so far that no constant one is left, the two bounds have passed each
        other; what lies between is returned, and refutes neither side.
        """
        if self._bounds is None:
            x = np.array(self._seen, np.float64)
            low, high = _lower(x, self.alpha), 1 - _lower(1 - x, self.alpha)
            low, high = min(low, high), max(low, high)
            self._bounds = Bounds(self._low + low * self._width, self._low + high * self._width)
        return self._bounds

    def refuted_at(self, mean: float) -> int | None:
        """The number of the look, from 1, at which the bounds first left out `mean`; None so far.

        It costs one pass, where looking at `bounds` each time would cost one for each.
        """
        x, m = np.array(self._seen, np.float64), (mean - self._low) / self._width
        rich = np.maximum(_capital(x, self.alpha, m), _capital(1 - x, self.alpha, 1 - m))
        found = np.flatnonzero(rich >= log(2 / self.alpha))
        return int(found[0]) + 1 if len(found) else None


class BettingDifference:
    """Bounds on mean(treated) - mean(control) of numbers in [0, 1], with error `alpha` over all
    looks.

    As soon as both arms have a number that waits, the means of those that wait make one pair, and
    its difference one number of a `BettingMean`. Who pairs with whom follows from arms and order
    alone, so each pair's difference is right on average; and as both come from the same time, what
    changes for all sellers changes no difference. With 10 % treated, a treated seller is compared
    with the controls since the one before.
    """

    def __init__(self, alpha: float = 0.05) -> None:
        self._pairs = BettingMean(alpha, -1.0, 1.0)
        self._closed_by: list[tuple[int, int]] = []
        self._sums, self._waiting = [0.0, 0.0], [0, 0]
        self.control_n = self.treated_n = 0

    @classmethod
    def over(
        cls, numbers: Iterable[tuple[bool, float]], alpha: float = 0.05
    ) -> "BettingDifference":
        """The sequence over (treated, number) in the log's order."""
        sequence = cls(alpha)
        for treated, x in numbers:
            sequence.update(treated, x)
        return sequence

    def update(self, treated: bool, x: float) -> None:
        """Take in the next seller's number.

        Raises:
            ValueError: it is not from 0 to 1.
        """
        if not -1e-9 <= x <= 1 + 1e-9:
            raise ValueError(f"{x} is not from 0 to 1")
        if treated:
            self.treated_n += 1
        else:
            self.control_n += 1
        sums, waiting = self._sums, self._waiting
        sums[treated] += x
        waiting[treated] += 1
        if waiting[0] and waiting[1]:
            self._pairs.update(sums[1] / waiting[1] - sums[0] / waiting[0])
            self._closed_by.append((self.treated_n, self.control_n))
            self._sums, self._waiting = [0.0, 0.0], [0, 0]

    @property
    def pairs(self) -> int:
        """How many pairs are closed."""
        return self._pairs.n

    @property
    def bounds(self) -> Bounds:
        """Where the difference is, from -1 to 1."""
        return self._pairs.bounds

    def refuted_at(self, difference: float) -> tuple[int, int] | None:
        """How many (treated, control) sellers there were when the bounds first left out
        `difference`; None so far."""
        look = self._pairs.refuted_at(difference)
        return None if look is None else self._closed_by[look - 1]


class DropAlarm:
    """Raised when the mean of numbers in [0, 1] has dropped below `reference - tolerance`.

    Capital is bet that the next number is lower than that; as long as no mean, given the past, is,
    it does not grow on average. A look that finds less than 1 lets the bets begin anew with 1, so
    that a long good time does not hide a drop. Then the alarm is false once in 1/error looks on
    average, at most (an e-detector: Shin, Ramdas and Rinaldo, arXiv 2203.03532). What one seller
    sends resembles what they sent before: give it one mean of each seller at a look.

    error: false alarms a look, at most; by default one a year at 24 looks a day. drop: how far
    below `reference` a drop is that is found soonest.
    """

    def __init__(
        self,
        reference: float,
        tolerance: float = 0.03,
        error: float = 1 / LOOKS_A_YEAR,
        drop: float = 0.10,
    ) -> None:
        if not 0 <= tolerance < drop or not 0 < error < 1:
            raise ValueError("a drop must be above its tolerance, and the error between 0 and 1")
        self._least, self._gap = reference - tolerance, drop - tolerance
        self._enough = -log(error)
        self._capital = 0.0
        self._n, self._mean, self._squares = 0, reference, 0.25
        self.raised = False
        """Whether it has ever reached 1/error."""

    @property
    def wealth(self) -> float:
        """The capital of now; it begins at 1, and 1/error raises the alarm."""
        return exp(min(self._capital, 700.0))

    def update(self, x: float) -> None:
        """Take in the next number.

        Raises:
            ValueError: it is not from 0 to 1.
        """
        if not -1e-9 <= x <= 1 + 1e-9:
            raise ValueError(f"{x} is not from 0 to 1")
        # The bet that grows fastest once the drop has come, by the spread so far.
        bet = self._gap / (self._squares / (self._n + 1) + self._gap**2)
        bet = min(bet, TRUNCATION / max(1 - self._least, 1e-12))
        self._capital += log1p(-bet * (x - self._least))
        self.raised = self.raised or self._capital >= self._enough
        self._n += 1
        before, self._mean = self._mean, self._mean + (x - self._mean) / (self._n + 1)
        self._squares += (x - before) * (x - self._mean)

    def look(self) -> bool:
        """Close a look, after which bets may begin anew; whether the alarm is raised."""
        self._capital = max(self._capital, 0.0)
        return self.raised


def _lower(x: Floats, alpha: float) -> float:
    """The highest mean in [0, 1] that bets on a higher one have refuted at some look, else 0."""
    bets, rich = _bets(x, alpha), log(2 / alpha)
    if not len(x) or _capital(x, alpha, 0.0, bets).max() < rich:
        return 0.0
    refuted, open_ = 0.0, 1.0
    for _ in range(HALVINGS):
        mean = (refuted + open_) / 2
        if _capital(x, alpha, mean, bets).max() >= rich:
            refuted = mean
        else:
            open_ = mean
    return refuted


def _capital(x: Floats, alpha: float, mean: float, bets: Floats | None = None) -> Floats:
    """ln capital, look by look, of bets that the mean is higher than `mean`. It falls in `mean`; it
    is a supermartingale where all means, given the past, are at most `mean`."""
    bets = _bets(x, alpha) if bets is None else bets
    return np.cumsum(np.log1p(np.minimum(bets, TRUNCATION / max(mean, 1e-12)) * (x - mean)))


def _bets(x: Floats, alpha: float) -> Floats:
    """What is bet on each of `x`, by the variance of those before: (26) and (27) of the paper."""
    t = np.arange(1, len(x) + 1)
    means = (0.5 + np.cumsum(x)) / (t + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], variances])[: len(x)]
    return np.sqrt(2 * log(2 / alpha) / (before * t * np.log1p(t)))
