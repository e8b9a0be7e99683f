"""An adapter with its calibration, as constrained mode asks for it.

Constraints make every value legal, so that what an adapter fills says nothing until it may leave
blank what it doubts. Its answers on the calibration listings tell how often a value is right that
it is so sure of; a value is suggested from the probability on at which it is worth its risk. The
test listings have no part in this.
"""

from infra.experiment.figures import COST_OF_WRONG
from infra.experiment.lab import Lab
from schemas.events import Mode
from serving.adapters import CALIBRATION, AdapterFile, read_adapter, write_adapter
from serving.calibration import Calibration, Curve
from trainer.calibrate import calibrate
from trainer.dataset import Row


def calibrated(lab: Lab, adapter: AdapterFile, rows: list[Row]) -> AdapterFile:
    """`adapter` with the calibration that its constrained answers on `rows` give.

    Raises:
        EngineError: generating failed.
    """
    answered = lab.judge(adapter, rows, Mode.CONSTRAINED)
    examples = [example for score in answered.listings for example in score.suggestions]
    fitted = calibrate({Mode.CONSTRAINED: examples}, target_precision=0.0)
    # An engine takes an id once, and the uncalibrated one has been asked.
    header = {
        **adapter.metadata,
        "adapter_id": f"{adapter.id}.calibrated",
        CALIBRATION: worth_their_risk(fitted).model_dump_json(),
    }
    return read_adapter(write_adapter(adapter.tensors(), header))


def worth_their_risk(fitted: Calibration, cost_of_wrong: float = COST_OF_WRONG) -> Calibration:
    """`fitted` with thresholds from which on a suggestion gains more than it costs.

    It gains 1 where it is right and costs `cost_of_wrong` where it is wrong, so it is worth its
    risk from the probability cost / (1 + cost) on.
    """
    least = cost_of_wrong / (1 + cost_of_wrong)
    curves = tuple(
        curve.model_copy(update={"threshold": _first_above(curve, least)})
        for curve in fitted.curves
    )
    return fitted.model_copy(update={"curves": curves})


def _first_above(curve: Curve, least: float) -> float | None:
    """The confidence from which on `least` is reached; None from everywhere, 1 from nowhere."""
    steps = zip(curve.starts, curve.probabilities, strict=True)
    start = next((start for start, probability in steps if probability >= least), 1.0)
    return None if curve.probabilities[0] >= least else start
