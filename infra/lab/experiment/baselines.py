"""What the arms have to beat, on the sealed test.

Worked examples, and the listings that the baselines without a model are fitted on, are all
arrivals, whether an arm was trained on them or not: the baselines know more than any arm.
"""

from collections.abc import Sequence

from infra.lab.experiment.lab import Lab
from schemas.events import BASE_ADAPTER, Mode
from trainer.data.dataset import Row
from trainer.judging.arms import base_arms, fitted_arms
from trainer.judging.evaluate import Evaluation
from trainer.results import ONE_EXAMPLE

CONSTRAINED = "base, constrained"
BASELINES = (
    "majority value",
    "nearest listing",
    "nearest listing, filled up",
    BASE_ADAPTER,
    ONE_EXAMPLE,
    "base, schema shown",
    CONSTRAINED,
)
"""Their names, as the tables have them."""


def judge_baselines(
    lab: Lab, arrivals: Sequence[Row], test: Sequence[Row]
) -> dict[str, Evaluation]:
    """Every baseline's answers on `test`, by the baseline's name; `base` among them."""
    found = lab.answered(test, lambda judge: base_arms(judge) | fitted_arms(judge, arrivals))
    # It has no file that could hold a calibration, so it never abstains.
    found[CONSTRAINED] = lab.judge(None, test, Mode.CONSTRAINED)
    return {name: found[name] for name in BASELINES}
