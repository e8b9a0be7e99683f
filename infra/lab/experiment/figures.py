"""What an experiment measured, as data: enough to draw every table and picture again.

Answers are kept as counts a listing, so that whoever doubts an interval can draw another.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from infra.lab.experiment.knowable import Knowable
from infra.lab.experiment.mistakes import Mistake, Mistakes
from trainer.judging.evaluate import Evaluation
from trainer.judging.intervals import Ratio
from trainer.settings import TrainerSettings

COST_OF_WRONG: float = TrainerSettings().cost_of_wrong
"""What a wrong suggestion costs a seller, in right ones saved."""

METRICS = ("net benefit", "completeness", "recall", "precision")


class AnswerCounts(BaseModel):
    """What one adapter or baseline made of the test listings; counts of attributes, a listing each.

    `seconds` is its whole time for them.
    """

    valid: list[int]  # filled with a legal value
    suggested: list[int]  # labelled, and a legal value was suggested
    right: list[int]  # labelled, and the suggestion matches
    seconds: float

    @classmethod
    def of(cls, evaluation: Evaluation) -> "AnswerCounts":
        """The counts of `evaluation`."""
        listings = evaluation.listings
        return cls(
            valid=[s.valid for s in listings],
            suggested=[s.suggested for s in listings],
            right=[s.right for s in listings],
            seconds=round(evaluation.seconds, 2),
        )


class Sealed(BaseModel):
    """The sealed listings: how many attributes were asked, and for how many there is a value."""

    listing_ids: list[str]
    asked: list[int]
    labelled: list[int]

    @classmethod
    def of(cls, evaluation: Evaluation) -> "Sealed":
        """Those that `evaluation` was made on."""
        return cls(
            listing_ids=[s.listing_id for s in evaluation.listings],
            asked=[s.asked for s in evaluation.listings],
            labelled=[s.labelled for s in evaluation.listings],
        )

    def ratio(self, scores: Sequence[AnswerCounts], metric: str) -> Ratio:
        """One of `METRICS`, listing by listing, summed over `scores`.

        Net benefit = (right - `COST_OF_WRONG` * wrong) / values that the catalog has, where wrong
        is suggested and not matching (Vickers and Elkin 2006); the others as in
        `trainer.judging.evaluate`. With one entry a seed its value is the seeds' mean (of
        precision: weighted by what each suggested), and a bootstrap over listings keeps a listing's
        seeds together.
        """
        asked = np.array(self.asked, dtype=np.float64)
        if metric == "completeness":
            shares = [np.divide(s.valid, asked, where=asked > 0, out=0 * asked) for s in scores]
            return Ratio(np.sum(shares, axis=0), (asked > 0).astype(np.float64) * len(scores))
        below = [s.suggested if metric == "precision" else self.labelled for s in scores]
        right = _sum([s.right for s in scores])
        if metric == "net benefit":
            right -= COST_OF_WRONG * (_sum([s.suggested for s in scores]) - right)
        return Ratio(right, _sum(below))


class RoundFigures(BaseModel):
    """One round of one arm."""

    number: int
    adapter: str  # hash
    listings: int  # trained on, replayed ones included
    selected: list[str]  # listing ids, best first
    steps: int
    label_tokens: int
    train_seconds: float
    dtype: str
    losses: list[float]
    averaging_error: float | None = None
    gate: str  # the verdict against the round before; recorded, not acted on
    gate_reason: str
    test: AnswerCounts | None  # in free mode; None where the profile tests the last round only


class Constrained(BaseModel):
    """An arm's last adapter in constrained mode, calibrated on the calibration listings."""

    examples: int  # suggestions there that could be compared
    blank_below: dict[str, float]  # by type of attribute, `*` for others: confidence
    test: AnswerCounts


class ArmFigures(BaseModel):
    """One arm under one seed."""

    arm: str
    strategy: str
    curation: str
    seed: int
    rounds: list[RoundFigures]
    constrained: Constrained  # after the last round


class SweepPoint(BaseModel):
    """One learning rate: a first round from the base, judged on the calibration listings."""

    learning_rate: float
    net_benefit: float
    completeness: float
    recall: float
    precision: float
    last_loss: float


class Change(BaseModel):
    """A test attribute, as answered on the way; "" is blank."""

    listing: str  # its title
    attribute: str
    base: str
    last: str  # after the last round
    catalog: str
    right: bool  # the last one


class DataSetFigures(BaseModel):
    """All about one catalog. The arms' `test` scores are of `test`'s listings in that order."""

    name: str
    products: int
    warnings: list[str]
    parts: dict[str, int]
    heldout: dict[str, list[str]]  # held-out part to its listings
    attributes_asked: float  # mean a listing
    values: float  # mean a listing
    knowable: dict[str, list[Knowable]]  # of the whole catalog, and of the test part
    sweep: list[SweepPoint]
    learning_rate: float
    test: Sealed
    baselines: dict[str, AnswerCounts]
    arms: list[ArmFigures]
    samples: list[Change]
    mistakes: list[Mistakes]  # of the reference arm after its last round, on the test
    wrong_answers: list[Mistake]

    @property
    def reference(self) -> str:
        """The arm that all others are compared with: the profile's first."""
        return self.arms[0].arm


class Begun(BaseModel):
    """Where, when and from which commit an experiment was started; resuming changes nothing."""

    date: str
    commit: str
    machine: str
    base_model: str
    answering_dtype: str  # measured once: another later would make other answers
    training_dtype: str


class ExperimentFigures(BaseModel):
    """The whole experiment."""

    profile: str
    settings: dict[str, Any]  # of the profile
    begun: Begun
    data_sets: list[DataSetFigures]


def _sum(counts: Sequence[Sequence[int]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.sum(np.array(counts, dtype=np.float64), axis=0)
