"""Is what an adapter is 70 % sure of right 70 % of the time? Bins, and one number.

Suggestions that the catalog can judge are sorted into bins of equal width by their confidence. The
expected calibration error is the mean distance of confidence and share right, weighted by the
bins' suggestions (Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning",
AAAI 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.events import Mode
from serving.calibration import Calibration
from trainer.judging.calibrate import Suggestion
from trainer.judging.evaluate import Evaluation

BINS = 10


@dataclass(frozen=True)
class Bin:
    """The suggestions with a confidence from `low` up to `high`; at least one."""

    low: float
    high: float
    confidence: float  # mean
    right: float  # share
    count: int


def judged_suggestions(
    evaluation: Evaluation, calibration: Calibration | None = None
) -> list[Suggestion]:
    """The suggestions that can be compared, with the adapter's own confidence, or with the
    probability that its `calibration` makes of it."""
    found = [entry for score in evaluation.listings for entry in score.suggestions]
    if calibration is None or evaluation.key.mode is None:
        return found
    return [_calibrated(entry, calibration, evaluation.key.mode) for entry in found]


def reliability(suggestions: Sequence[Suggestion], bins: int = BINS) -> list[Bin]:
    """The bins that have suggestions, from unsure to sure."""
    members: list[list[Suggestion]] = [[] for _ in range(bins)]
    for suggestion in suggestions:
        members[min(int(suggestion.confidence * bins), bins - 1)].append(suggestion)
    return [
        Bin(
            low=place / bins,
            high=(place + 1) / bins,
            confidence=sum(s.confidence for s in own) / len(own),
            right=sum(s.right for s in own) / len(own),
            count=len(own),
        )
        for place, own in enumerate(members)
        if own
    ]


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """The expected calibration error, 0 to 1; None where there is no suggestion to judge by."""
    count = sum(entry.count for entry in bins)
    if not count:
        return None
    return sum(entry.count * abs(entry.confidence - entry.right) for entry in bins) / count


def _calibrated(suggestion: Suggestion, calibration: Calibration, mode: Mode) -> Suggestion:
    curve = calibration.curve(mode, suggestion.kind)
    if curve is None:
        return suggestion
    return replace(suggestion, confidence=curve.probability(suggestion.confidence))
