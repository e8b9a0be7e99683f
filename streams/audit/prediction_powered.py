"""Correctness: the share of all suggested values that are right, from a few audited ones.

Prediction-powered inference (Angelopoulos et al., Science 2023, arXiv 2301.09633; its tuned form
PPI++, arXiv 2311.01453), stratified:

    θ = λ·F + Σ_h W_h · mean over the audited of h (right − λ·score)

`W_h` is the stratum's share of all values, `F` the mean score of *all* values, which costs nothing,
and the sum the rectifier, which takes out what the scores have wrong. Whatever the scores, θ aims
at the truth; good ones make it narrow. λ in [0, 1] makes the variance least: at 0 it is the
classical stratified estimate, to which useless scores lead back.

The target is the values that the sample was drawn from, so an audit of all of them has no error.
Intervals are 95 %: Wilson's with the effective number that the estimated variance stands for (Kott
and Carr 1997), by Student's t: near 0 and 1, and where all are right, they stay honest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from streams.audit.errors import AuditError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Judged:
    """A stratum of `values` values: of all the mean score, of the audited `right` and `score`.

    `right` is 1 or 0, or between where auditors disagree.
    """

    values: int
    mean_score: float
    right: Floats
    score: Floats


@dataclass(frozen=True)
class Estimate:
    """A share with its 95 % interval, standard error, and the number audited; `power` is λ."""

    value: float
    low: float
    high: float
    error: float
    audited: int
    power: float = 0.0

    @property
    def half_width(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2


def correctness(strata: Sequence[Judged], power: float | None = None) -> Estimate:
    """The share of all values that are right.

    power: λ; None takes the best one, 0 makes it the classical estimate.

    Raises:
        AuditError: fewer than two audited values.
    """
    strata = _with_two(strata)
    whole = sum(one.values for one in strata)
    shares = np.array([one.values / whole for one in strata])
    tuned = _best_power(strata, shares) if power is None else power
    value = sum(
        share * (tuned * one.mean_score + float(np.mean(one.right - tuned * one.score)))
        for share, one in zip(shares, strata, strict=True)
    )
    variance = sum(
        share**2 * _variance_of_mean(one.right - tuned * one.score, one.values)
        for share, one in zip(shares, strata, strict=True)
    )
    audited = sum(len(one.right) for one in strata)
    return _estimate(float(value), float(variance), audited, audited - len(strata), whole, tuned)


def share_within(strata: Sequence[Judged], inside: Sequence[Bools]) -> Estimate | None:
    """The share that is right among values of some kind, such as a category: the classical one.

    inside: for each stratum, which of its audited values are of that kind. The number of all values
    of the kind is estimated, too (Hájek), and the variance linearised. None where none was audited.
    """
    weights = [one.values / max(len(one.right), 1) for one in strata]
    total = sum(w * float(kind.sum()) for w, kind in zip(weights, inside, strict=True))
    if not total:
        return None
    right = sum(
        w * float(one.right[kind].sum())
        for w, one, kind in zip(weights, strata, inside, strict=True)
    )
    value = right / total
    variance = 0.0
    for one, kind in zip(strata, inside, strict=True):
        if len(one.right) > 1:
            residual = np.where(kind, one.right - value, 0.0)
            variance += (one.values / total) ** 2 * _variance_of_mean(residual, one.values)
    audited = sum(int(kind.sum()) for kind in inside)
    return _estimate(value, variance, audited, audited - 1, round(total))


def times(completeness: Estimate, right: Estimate) -> Estimate:
    """Correct completeness, completeness x correctness, by the delta method; the two independent.

    What they share, the listings, is of the order of 1 / listings.
    """
    value = completeness.value * right.value
    error = math.hypot(right.value * completeness.error, completeness.value * right.error)
    margin = _t(max(right.audited - 1, 1)) * error
    return Estimate(value, max(0.0, value - margin), min(1.0, value + margin), error, right.audited)


def _best_power(strata: Sequence[Judged], shares: Floats) -> float:
    """The λ of least variance, in [0, 1]."""
    together = apart = 0.0
    for share, one in zip(shares, strata, strict=True):
        many = len(one.right)
        factor = share**2 * max(1 - many / one.values, 0.0) / many
        covariances = np.cov(one.right, one.score)
        together += factor * float(covariances[0, 1])
        apart += factor * float(covariances[1, 1])
    return min(max(together / apart, 0.0), 1.0) if apart > 0 else 0.0


def _variance_of_mean(found: Floats, values: int) -> float:
    """Of a mean over so many of `values` drawn without putting back."""
    return float(np.var(found, ddof=1)) / len(found) * max(1 - len(found) / values, 0.0)


def _with_two(strata: Sequence[Judged]) -> list[Judged]:
    """The strata, each that has fewer than two audited values joined with its neighbour.

    Neighbours have neighbouring scores, and nearly the same share of each was drawn.
    """
    joined: list[Judged] = []
    for one in strata:
        if joined and (len(joined[-1].right) < 2 or len(one.right) < 2):
            joined[-1] = _join(joined[-1], one)
        else:
            joined.append(one)
    if len(joined) > 1 and len(joined[0].right) < 2:
        joined[:2] = [_join(*joined[:2])]
    if not joined or len(joined[0].right) < 2:
        raise AuditError("fewer than two values are judged; judge more with `listune audit start`")
    return joined


def _join(one: Judged, other: Judged) -> Judged:
    values = one.values + other.values
    mean = (one.values * one.mean_score + other.values * other.mean_score) / values
    return Judged(
        values,
        mean,
        np.concatenate([one.right, other.right]),
        np.concatenate([one.score, other.score]),
    )


def _estimate(
    value: float, variance: float, audited: int, freedom: int, whole: int, power: float = 0.0
) -> Estimate:
    clipped = min(max(value, 0.0), 1.0)
    error = math.sqrt(variance)
    if audited >= whole:
        return Estimate(clipped, clipped, clipped, 0.0, audited, power)
    spread = clipped * (1 - clipped)
    # Where nothing varies, the variance says nothing: then as if drawn at random.
    effective = spread / variance if variance > 0 and spread > 0 else float(audited)
    low, high = _wilson(clipped, effective, _t(max(freedom, 1)))
    return Estimate(clipped, low, high, error, audited, power)


def _wilson(value: float, many: float, t: float) -> tuple[float, float]:
    scale = 1 + t * t / many
    centre = (value + t * t / (2 * many)) / scale
    margin = t / scale * math.sqrt(value * (1 - value) / many + (t / (2 * many)) ** 2)
    return max(0.0, centre - margin), min(1.0, centre + margin)


@lru_cache(maxsize=1024)
def _t(freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))
