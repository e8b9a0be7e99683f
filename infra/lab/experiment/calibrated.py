"""An adapter with its calibration, as constrained mode asks for it.

Constraints make every value legal, so that what an adapter fills says nothing until it may leave
blank what it doubts. Its answers on the calibration listings tell how often a value is right that
it is so sure of; a value is suggested from the probability on at which it is worth its risk. The
test listings have no part in this.
"""

from infra.lab.experiment.figures import COST_OF_WRONG
from infra.lab.experiment.lab import Lab
from schemas.events import Mode
from serving.adapter_file import CALIBRATION, AdapterFile, read_adapter, write_adapter
from trainer.data.dataset import Row
from trainer.judging.calibrate import calibrate


def calibrated(lab: Lab, adapter: AdapterFile, rows: list[Row]) -> AdapterFile:
    """`adapter` with the calibration that its constrained answers on `rows` give.

    Raises:
        EngineError: generating failed.
    """
    answered = lab.judge(adapter, rows, Mode.CONSTRAINED)
    examples = [example for score in answered.listings for example in score.suggestions]
    fitted = calibrate({Mode.CONSTRAINED: examples}, COST_OF_WRONG)
    # An engine takes an id once, and the uncalibrated one has been asked.
    header = {
        **adapter.metadata,
        "adapter_id": f"{adapter.id}.calibrated",
        CALIBRATION: fitted.model_dump_json(),
    }
    return read_adapter(write_adapter(adapter.tensors(), header))
