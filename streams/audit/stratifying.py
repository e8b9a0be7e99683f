"""From the confidences of all suggested values to strata, and how many values of each to draw.

A stratum is a band of confidence of one adapter. Within it values are drawn with one probability,
so that each value's chance is known. The other two traits, category and attribute, are balanced by
the draw itself (`streams.audit.sampling`): a stratum of each would hold less than one drawn value.

The *score* of a value is the probability that it is right, as far as sellers tell: among reviewed
live values of that adapter and that hundredth of confidence, the share that they accepted, fitted
so that it never falls with confidence (isotonic regression, Zadrozny and Elkan 2002). Acceptance is
a proxy, and nothing that is estimated needs it to be a good one: a bad score widens the interval.

How many are drawn follows Neyman (1934): in proportion to values x standard deviation of right or
wrong, √(score·(1 − score)), yet no less than `LEAST_SD`. By Kantorovich's inequality a score that
says nothing can then cost at most (1 + r)²/4r − 1 of the variance, r = 0.5 / LEAST_SD: 6.7 %.
"""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from streams.audit.errors import AuditError

BINS = 100
NO_CONFIDENCE = -1
"""The bin of values from before confidence was kept."""
LEAST_SD = 0.3
PER_BAND = 15
"""Drawn values that a band of confidence is worth, about."""
MOST_BANDS = 10
LEAST_DRAWN = 2
"""Of a stratum: its variance cannot be told from one."""


class Bin(BaseModel):
    """All suggested values of an adapter in one hundredth of confidence."""

    model_config = ConfigDict(frozen=True)

    adapter_id: str
    bin: int = Field(ge=NO_CONFIDENCE, lt=BINS)
    values: int = Field(ge=1)
    reviewed: int = Field(ge=0)
    accepted: int = Field(ge=0)


class Stratum(BaseModel):
    """The bins `low` to `high` of an adapter: how many values they have, and how many are drawn.

    `mean_score`: of all the values. `scores`: of each bin that has any.
    """

    model_config = ConfigDict(frozen=True)

    adapter_id: str
    low: int
    high: int
    values: int
    mean_score: float
    scores: dict[int, float]
    drawn: int

    @property
    def band(self) -> str:
        """In words, such as `0.20-0.35`."""
        if self.high == NO_CONFIDENCE:
            return "none"
        return f"{max(self.low, 0) / BINS:.2f}-{(self.high + 1) / BINS:.2f}"


def scores(bins: Sequence[Bin]) -> list[float]:
    """The score of each bin of one adapter; without any review the confidence itself.

    A bin that nobody reviewed lies between its neighbours. Without a confidence, the accepted share
    of such values.
    """
    from scipy.optimize import isotonic_regression

    seen = [one for one in bins if one.reviewed and one.bin != NO_CONFIDENCE]
    if not seen:
        places, fitted = np.array([0, BINS - 1]), np.array([0.5, BINS - 0.5]) / BINS
    else:
        places = np.array([one.bin for one in seen])
        shares = np.array([one.accepted / one.reviewed for one in seen])
        fitted = isotonic_regression(shares, weights=[one.reviewed for one in seen]).x
    return [
        (one.accepted + 1) / (one.reviewed + 2)
        if one.bin == NO_CONFIDENCE
        else float(np.interp(one.bin, places, fitted))
        for one in bins
    ]


def stratify(bins: Sequence[Bin], size: int, equally: bool = False) -> list[Stratum]:
    """Strata of all `bins`, and `size` values in all to draw from them.

    `equally`: adapters get equal shares, to compare them; otherwise by values and spread.

    Raises:
        AuditError: nothing to draw from, or too few to draw for so many adapters.
    """
    if not bins:
        raise AuditError(
            "the pool has no suggested value to draw from; audit once live requests were answered"
        )
    adapters = [
        list(group)
        for _, group in groupby(
            sorted(bins, key=lambda one: (one.adapter_id, one.bin)), key=lambda one: one.adapter_id
        )
    ]
    if size < LEAST_DRAWN * len(adapters):
        raise AuditError(
            f"{size} values are too few for {len(adapters)} adapters; draw at least "
            f"{LEAST_DRAWN * len(adapters)}, or name fewer adapters"
        )
    found = [scores(own) for own in adapters]
    weights = [1.0 if equally else _spread(own, s) for own, s in zip(adapters, found, strict=True)]
    shares = apportion(size, weights, [sum(one.values for one in own) for own in adapters])
    return [
        stratum
        for own, s, share in zip(adapters, found, shares, strict=True)
        for stratum in _bands(own, s, share)
    ]


def apportion(total: int, weights: Sequence[float], most: Sequence[int]) -> list[int]:
    """`total` things by `weights`, whole, at least `LEAST_DRAWN` each and at most `most` each.

    By largest remainders; what is over `most` goes to the others. All of `most` where `total` is
    more.
    """
    given = [min(LEAST_DRAWN, limit) for limit in most]
    left = min(total, sum(most)) - sum(given)
    while left > 0:
        open_ = [i for i, limit in enumerate(most) if given[i] < limit]
        whole = sum(weights[i] for i in open_) or 1.0
        # What each should have in the end, of what those not full yet have together.
        pot = left + sum(given[i] for i in open_)
        lacking = [(pot * weights[i] / whole - given[i], i) for i in open_]
        parts = [(lack, i) for lack, i in lacking if lack > 0]
        spread = sum(lack for lack, _ in parts)
        whole_parts = {
            i: min(math.floor(left * lack / spread), most[i] - given[i]) for lack, i in parts
        }
        if not any(whole_parts.values()):
            whole_parts = {i: 1 for _, i in sorted(parts, reverse=True)[:left]}
        for i, more in whole_parts.items():
            given[i] += more
            left -= more
    return given


def _spread(bins: Sequence[Bin], found: Sequence[float]) -> float:
    return sum(one.values * _sd(score) for one, score in zip(bins, found, strict=True))


def _sd(score: float) -> float:
    return max(math.sqrt(score * (1 - score)), LEAST_SD)


def _bands(bins: Sequence[Bin], found: Sequence[float], drawn: int) -> list[Stratum]:
    """Bands of one adapter, of about equal values x standard deviation: equal shares of `drawn`."""
    count = min(max(drawn // PER_BAND, 1), MOST_BANDS)
    whole, sum_, bands = _spread(bins, found), 0.0, [[0]]
    for place in range(1, len(bins)):
        sum_ += bins[place - 1].values * _sd(found[place - 1])
        alone = bins[place - 1].bin == NO_CONFIDENCE and count > 1
        if alone or sum_ >= whole * len(bands) / count - 1e-9:
            bands.append([])
        bands[-1].append(place)
    weights = [sum(bins[i].values * _sd(found[i]) for i in band) for band in bands]
    sizes = [sum(bins[i].values for i in band) for band in bands]
    takes = apportion(drawn, weights, sizes)
    return [
        Stratum(
            adapter_id=bins[0].adapter_id,
            low=bins[band[0]].bin,
            high=bins[band[-1]].bin,
            values=values,
            mean_score=sum(bins[i].values * found[i] for i in band) / values,
            scores={bins[i].bin: found[i] for i in band},
            drawn=take,
        )
        for band, values, take in zip(bands, sizes, takes, strict=True)
    ]
