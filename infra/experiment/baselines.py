"""What the arms have to beat, on the sealed test: the base, and the base with a worked example.

Examples come from the arrivals, all of them, whether an arm was trained on them or not.
"""

from collections.abc import Sequence

from infra.experiment.lab import Lab
from trainer.dataset import Row
from trainer.evaluate import Evaluation, one_shot_example

BASELINES = 2
"""How many of them a model answers."""


def judge_baselines(
    lab: Lab, arrivals: Sequence[Row], test: Sequence[Row]
) -> dict[str, Evaluation]:
    """Every baseline's answers on `test`, by the baseline's name; `base` among them."""
    return {
        "base": lab.judge(None, test),
        "base, one-shot": lab.judge(None, test, lambda row: one_shot_example(arrivals, row)),
    }
