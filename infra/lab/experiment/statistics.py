"""Shares with their intervals, and differences between arms: a bootstrap over listings.

A listing is drawn with all its attributes and all its seeds, since they stand or fall together. The
intervals say how sure the figures are for other listings of the same catalog, under these seeds.
The luck of a training is not in them: each seed's own figures say how large that is.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from infra.lab.experiment.figures import (
    COST_OF_WRONG,
    METRICS,
    AnswerCounts,
    DataSetFigures,
    Sealed,
)
from schemas.events import Interval, Mode
from trainer.judging.evaluate import ListingScore
from trainer.judging.intervals import Floats, draw_listings

PRODUCT = "correct completeness"
"""Completeness × precision; the paper audits the second by hand."""
SHOWN = (*METRICS, PRODUCT)
DRAWS = 2000


def measured(test: Sealed, scores: Sequence[AnswerCounts]) -> dict[str, Interval]:
    """Each of `SHOWN`, the mean over `scores` (one a seed), with its two-sided 95 % interval."""
    everyone = np.ones((1, len(test.asked)))
    values, drawn = _shares(test, scores, everyone), _shares(test, scores, _draws(test))
    return {name: _interval(float(values[name][0]), drawn[name]) for name in SHOWN}


def differences(
    test: Sealed, scores: Sequence[AnswerCounts], reference: Sequence[AnswerCounts]
) -> dict[str, Interval]:
    """`scores` minus `reference` in each of `SHOWN`, paired by listing."""
    everyone = np.ones((1, len(test.asked)))
    values, others = _shares(test, scores, everyone), _shares(test, reference, everyone)
    drawn, drawn_others = (_shares(test, s, _draws(test)) for s in (scores, reference))
    return {
        name: _interval(float(values[name][0] - others[name][0]), drawn[name] - drawn_others[name])
        for name in SHOWN
    }


def net_benefit(listings: Sequence[ListingScore], cost_of_wrong: float = COST_OF_WRONG) -> float:
    """(right - `cost_of_wrong` * wrong) / values that the catalog has; 0 where it has none."""
    right, suggested, labelled = (
        sum(getattr(score, name) for score in listings)
        for name in ("right", "suggested", "labelled")
    )
    return (right - cost_of_wrong * (suggested - right)) / labelled if labelled else 0.0


def of_round(
    data: DataSetFigures, arm: str, number: int, seeds: Iterable[int] | None = None
) -> list[AnswerCounts]:
    """The test scores of an arm after a round, one a seed; `number` 0 is the base.

    `seeds` None takes all that the arm was run under, else these.
    """
    chosen = set(seeds_of(data, arm) if seeds is None else seeds)
    if number == 0:
        return [data.baselines["base"]] * len(chosen)
    chains = [a for a in data.arms if a.arm == arm and a.seed in chosen]
    return [r.test for a in chains for r in a.rounds if r.number == number and r.test]


def after_last_round(
    data: DataSetFigures, arm: str, mode: Mode, seeds: Iterable[int] | None = None
) -> list[AnswerCounts]:
    """The test scores of an arm's last adapters in `mode`, one a seed; `seeds` as in `of_round`."""
    if mode is Mode.FREE:
        return of_round(data, arm, last_round(data), seeds)
    chosen = set(seeds_of(data, arm) if seeds is None else seeds)
    return [a.constrained.test for a in data.arms if a.arm == arm and a.seed in chosen]


def seeds_of(data: DataSetFigures, arm: str) -> list[int]:
    """The seeds that an arm was run under."""
    return [a.seed for a in data.arms if a.arm == arm]


def arm_names(data: DataSetFigures) -> list[str]:
    """The arms of a data set, in the order in which they were run."""
    return list(dict.fromkeys(arm.arm for arm in data.arms))


def last_round(data: DataSetFigures) -> int:
    """The number of the last round."""
    return max(r.number for arm in data.arms for r in arm.rounds)


def tested_rounds(data: DataSetFigures) -> list[int]:
    """The numbers of the rounds after which the test was asked."""
    return sorted({r.number for arm in data.arms for r in arm.rounds if r.test})


def _shares(test: Sealed, scores: Sequence[AnswerCounts], draws: Floats) -> dict[str, Floats]:
    shares = {name: test.ratio(scores, name).over(draws) for name in METRICS}
    return shares | {PRODUCT: shares["completeness"] * shares["precision"]}


def _draws(test: Sealed) -> Floats:
    return _drawn(len(test.asked))


@lru_cache(maxsize=4)
def _drawn(listings: int) -> Floats:
    return draw_listings(listings, DRAWS, seed=0)


def _interval(value: float, sample: Floats) -> Interval:
    low, high = np.quantile(sample, [0.025, 0.975])
    return Interval(value=value, low=float(low), high=float(high))
