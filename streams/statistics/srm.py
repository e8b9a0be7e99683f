"""The sequential check for a sample ratio mismatch: do the arms get the shares they should?

An arm that gets too few sellers has lost some, most often the unhappy ones, and its figures are no
longer comparable. Capital is bet on each seller's arm, in proportion to what was seen so far
(Dirichlet-multinomial; Lindon and Malek, arXiv 2011.03567); where the shares are right it ever
reaches 1/α with a probability of at most α, so it may be looked at after every seller.

Count each seller once, at their first appearance. Where shares have grown, count only sellers of
slices that began together: those of the older slices have mostly been counted before, and the new
ones come in a rush.
"""

from collections.abc import Mapping

BETS = {1000.0: 0.8, 10.0: 0.2}
"""How firmly bets begin at the given shares, in sellers, to the part of the capital that is bet so.
The firm ones find mismatches of some points, such as 52/48 (they spread by 0.5/√1000 = 1.6
points), the others an arm that gets nobody."""


class SampleRatioSequence:
    """The check of one experiment; `shares` of those who are in an arm, in any unit."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        total = sum(shares.values())
        if len(shares) < 2 or not all(share > 0 for share in shares.values()):
            raise ValueError("the check needs two arms at least, each with a share above 0")
        self._shares = {arm: share / total for arm, share in shares.items()}
        self.counts = dict.fromkeys(shares, 0)
        self._capital = dict(BETS)
        self._most = 1.0

    @property
    def n(self) -> int:
        """How many sellers it has seen."""
        return sum(self.counts.values())

    def update(self, arm: str) -> None:
        """Take in the next seller's arm.

        Raises:
            ValueError: there is no such arm.
        """
        if arm not in self.counts:
            raise ValueError(f"there is no arm {arm!r}; the arms are {', '.join(self.counts)}")
        expected, seen, n = self._shares[arm], self.counts[arm], self.n
        for strength in self._capital:
            bet = (strength * expected + seen) / (strength + n)
            self._capital[strength] *= bet / expected
        self._most = max(self._most, self.wealth)
        self.counts[arm] += 1

    @property
    def wealth(self) -> float:
        """The capital of now; it began at 1."""
        return sum(self._capital.values())

    @property
    def p_value(self) -> float:
        """Holds at all looks at once: it is ever at or below α with a probability of at most α."""
        return 1 / self._most

    def mismatch(self, alpha: float = 0.05) -> bool:
        """Whether the arms do not get their shares, as far as error `alpha` allows to say so."""
        return self.p_value <= alpha
