"""What the arms have to beat, on the sealed test.

Worked examples, and the listings that the baselines without a model are fitted on, are all
arrivals, whether an arm was trained on them or not: the baselines know more than any arm.
"""

from collections.abc import Callable, Sequence

from infra.lab.experiment.lab import InMode, Lab
from schemas.events import BASE_ADAPTER, Mode
from serving.generation import Generator
from serving.prompt import Example
from trainer.data.dataset import Row, rows_hash
from trainer.judging.baselines import MajorityValue, NearestExample, NearestListing, schema_example
from trainer.judging.evaluate import Evaluation, EvaluationKey

BASELINES = 7
"""How many there are."""


def judge_baselines(
    lab: Lab, arrivals: Sequence[Row], test: Sequence[Row]
) -> dict[str, Evaluation]:
    """Every baseline's answers on `test`, by the baseline's name; `base` among them."""

    def fitted(name: str, make: Callable[[], Generator]) -> Evaluation:
        key = EvaluationKey.of_baseline(name, rows_hash(test), rows_hash(arrivals))
        return lab.remembered(key, test, make)

    def base(
        example: Callable[[Row], Example | None], one_shot: bool = False, schema_shown: bool = False
    ) -> Evaluation:
        key = lab.key(BASE_ADAPTER, test, one_shot, schema_shown)
        return lab.remembered(key, test, lambda: InMode(lab.engine(), Mode.FREE), example)

    return {
        "majority value": fitted("majority value", lambda: MajorityValue(arrivals)),
        "nearest listing": fitted("nearest listing", lambda: NearestListing(arrivals)),
        "nearest listing, filled up": fitted(
            "nearest listing, filled up", lambda: NearestListing(arrivals, fill_from_next=True)
        ),
        "base": lab.judge(None, test),
        "base, one example": base(NearestExample(arrivals), one_shot=True),
        "base, schema shown": base(schema_example, schema_shown=True),
        # It has no file that could hold a calibration, so it never abstains.
        "base, constrained": lab.judge(None, test, Mode.CONSTRAINED),
    }
