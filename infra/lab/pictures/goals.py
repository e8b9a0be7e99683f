"""What was to be shown, and whether it was; each by catalog, with its 95 % interval."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel

from infra.lab.experiment.figures import AnswerCounts
from infra.lab.experiment.statistics import differences
from infra.lab.pictures.figures import (
    FILLED,
    MAJORITY,
    NEAREST_PICTURE,
    READS,
    SEES,
    CatalogFigures,
)
from schemas.events import Interval
from trainer.judging.evaluate import Inputs
from trainer.judging.intervals import draw_listings, two_sided

TIMES_MAJORITY = 1.5
DRAWS = 2000


class Goal(BaseModel):
    """`measured` should be at least `wanted`; with `surely` the whole interval has to be above."""

    catalog: str
    name: str
    wanted: float
    measured: Interval
    surely: bool = False

    @property
    def met(self) -> bool:
        """Whether it is."""
        if self.surely:
            return self.measured.low > self.wanted
        return self.measured.value >= self.wanted


def goals(data: CatalogFigures) -> list[Goal]:
    """The goals of one catalog."""
    return [
        Goal(
            catalog=data.name,
            name=f"picture ≥ {TIMES_MAJORITY:g} × majority",
            wanted=TIMES_MAJORITY,
            measured=times(data, "image", SEES, MAJORITY),
        ),
        *(
            Goal(
                catalog=data.name,
                name=f"picture > {name}",
                wanted=0.0,
                measured=minus(data, ("image", SEES), ("image", name))["recall"],
                surely=True,
            )
            for name in (NEAREST_PICTURE, NEAREST_PICTURE + FILLED)
        ),
        *(
            Goal(
                catalog=data.name,
                name="both > text" + ("" if metric == "recall" else f", {metric}"),
                wanted=0.0,
                measured=minus(data, ("text+image", SEES), ("text", SEES))[metric],
                surely=True,
            )
            for metric in ("recall", "net benefit")
        ),
        Goal(
            catalog=data.name,
            name="both > text-only arm",
            wanted=0.0,
            measured=minus(data, ("text+image", SEES), ("text+image", READS))["recall"],
            surely=True,
        ),
    ]


def minus(
    data: CatalogFigures, one: tuple[Inputs, str], other: tuple[Inputs, str]
) -> dict[str, Interval]:
    """`one` minus `other`, each what was shown and to whom, paired by listing, by metric."""
    scores, others = alike(data.answers[one[0]][one[1]], data.answers[other[0]][other[1]])
    return differences(data.test, scores, others)


def times(data: CatalogFigures, view: Inputs, name: str, other: str) -> Interval:
    """The recall of `name` divided by that of `other`, both shown `view`, paired by listing."""
    pair = alike(data.answers[view][name], data.answers[view][other])
    draws = np.vstack(
        [np.ones((1, len(data.test.asked))), draw_listings(len(data.test.asked), DRAWS, seed=0)]
    )
    above, below = (data.test.ratio(scores, "recall").over(draws) for scores in pair)
    ratios = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return two_sided(float(ratios[0]), ratios[1:])


def alike(
    one: Sequence[AnswerCounts], other: Sequence[AnswerCounts]
) -> tuple[Sequence[AnswerCounts], Sequence[AnswerCounts]]:
    """Both with an entry a seed: what knows no seeds has one."""
    return (
        list(one) * len(other) if len(one) == 1 else one,
        list(other) * len(one) if len(other) == 1 else other,
    )
