"""May the candidate replace its parent? A paired bootstrap clustered by listing decides.

For completeness, recall and precision the difference candidate - parent is drawn; margin m.

- promote: every one-sided 95 % lower bound is >= -m, and some point estimate is above 0.
- reject: some one-sided 95 % upper bound is < -m, or no point estimate is above 0.
- inconclusive: neither; so many listings would be needed. The champion stays.

A metric with nothing to divide by is 0 (see `trainer.bootstrap.Ratio`): against a parent that
suggests nothing, any precision is a gain.
"""

import math

import numpy as np

from trainer.bootstrap import ONE_SIDED, ONE_SIDED_Z, draw_listings, paired
from trainer.errors import TrainingError
from trainer.evaluate import METRICS, Evaluation
from trainer.results import Decision, Difference, Verdict

MOST_LISTINGS = 1_000_000


def decide(
    parent: Evaluation, candidate: Evaluation, margin: float, draws: int = 2000, seed: int = 0
) -> Decision:
    """Judge `candidate` against `parent` on the same held-out listings.

    Raises:
        TrainingError: they were not evaluated on the same listings.
    """
    if not parent.same_listings(candidate):
        raise TrainingError("parent and candidate saw different listings; evaluate both anew")
    differences = _differences(parent, candidate, draws, seed)
    kind, reason, needed = _verdict(differences, margin, len(parent.listings))
    return Decision(
        kind=kind,
        reason=reason,
        differences=differences,
        margin=margin,
        listings=len(parent.listings),
        needed_listings=needed,
    )


def _differences(
    parent: Evaluation, candidate: Evaluation, draws: int, seed: int
) -> dict[str, Difference]:
    drawn = draw_listings(len(parent.listings), draws, seed)
    differences = {}
    for metric in METRICS:
        before, after = parent.ratio(metric), candidate.ratio(metric)
        sample = paired(before, after, drawn)
        lower, upper = np.quantile(sample, [ONE_SIDED, 1 - ONE_SIDED])
        differences[metric] = Difference(
            value=after.value - before.value,
            lower=float(lower),
            upper=float(upper),
            error=float(sample.std()),
        )
    return differences


def _verdict(
    differences: dict[str, Difference], margin: float, listings: int
) -> tuple[Verdict, str, int | None]:
    worse = [m for m, d in differences.items() if d.upper < -margin]
    if worse:
        said = " and ".join(f"{m} by {-differences[m].value:.3f}" for m in worse)
        return Verdict.REJECT, f"worse in {said}, surely beyond the margin {margin:g}", None
    if all(d.value <= 0 for d in differences.values()):
        return Verdict.REJECT, f"{', '.join(differences)}: none is better than the parent's", None
    unsure = [m for m, d in differences.items() if d.lower < -margin]
    if not unsure:
        better = [f"{m} {d.value:+.3f}" for m, d in differences.items() if d.value > 0]
        return Verdict.PROMOTE, f"{', '.join(better)}; nothing worse than {margin:g}", None
    needed = max(_needed(differences[m], margin, listings) for m in unsure)
    return (
        Verdict.INCONCLUSIVE,
        f"{' and '.join(unsure)} might be worse by more than {margin:g}: needs {needed} listings",
        needed,
    )


def _needed(difference: Difference, margin: float, listings: int) -> int:
    """How many held-out listings would settle this metric, its estimate staying as it is.

    The error shrinks with the square root of the listings; it must fall to the distance between
    the estimate and -margin. An estimate on the very margin is never settled: capped.
    """
    distance = abs(difference.value + margin)
    if distance * math.sqrt(MOST_LISTINGS) <= ONE_SIDED_Z * difference.error * math.sqrt(listings):
        return MOST_LISTINGS
    needed = listings * (ONE_SIDED_Z * difference.error / distance) ** 2
    # The bootstrap's bounds are not quite normal: never fewer than are there already.
    return max(math.ceil(needed), listings + 1)
