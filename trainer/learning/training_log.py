"""Where the steps of a round are followed beside `losses.jsonl`: TensorBoard, W&B or MLflow.

accelerate's trackers do the writing. They start with the first step, when accelerate knows its
device, and in the main process only, as no other reports steps. What they log is only looked at:
no result depends on it.

    tensorboard   <round's folder>/tensorboard; `tensorboard --logdir <work_dir>` shows all rounds
    wandb         project `listune`, a run a round; where and as whom, W&B's own variables say
    mlflow        experiment `listune`, a run each time the round's process runs; where,
                  MLFLOW_TRACKING_URI says
"""

import importlib.util
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.process.files import write_file
from trainer.errors import TrainingError
from trainer.settings import LogKind, TrainerSettings

if TYPE_CHECKING:
    from trainer.learning.finetune import StepReport

PROJECT = "listune"
WANDB_ID = "wandb-run.txt"
"""Holds the id of the round's run, so that a resumed round goes on with it."""


class TrainingLog:
    """Follows one training; use as a context manager."""

    def __init__(self, run: str, trainer: TrainerSettings, folder: Path) -> None:
        """`run` names the round, `folder` is its own.

        Raises:
            TrainingError: a package that `trainer.log_to` needs is not installed.
        """
        for kind in trainer.log_to:
            if importlib.util.find_spec(kind) is None:
                raise TrainingError(
                    f"trainer.log_to names {kind}, which is not installed; install it "
                    f"({_how_to_install(kind)}) or leave it out"
                )
        self._run = run
        self._settings = trainer
        self._folder = folder
        self._trackers: Sequence[Any] | None = None

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(self, *_: object) -> None:
        for tracker in self._trackers or ():
            tracker.finish()

    def step(self, report: "StepReport") -> None:
        """Log one step.

        Raises:
            TrainingError: a tracker does not start.
        """
        if self._trackers is None:
            self._trackers = [self._start(kind, report.step) for kind in self._settings.log_to]
        for tracker in self._trackers:
            tracker.log(
                {
                    "loss": report.loss,
                    "learning_rate": report.lr,
                    "label_tokens": report.tokens,
                    "seconds": report.seconds,
                },
                step=report.step,
            )

    def _start(self, kind: LogKind, first_step: int) -> Any:
        from accelerate import tracking

        tracker: Any
        try:
            match kind:
                case "tensorboard":
                    # What a killed process logged after its last checkpoint is logged again.
                    tracker = tracking.TensorBoardTracker(
                        "tensorboard", self._folder, purge_step=first_step
                    )
                case "wandb":
                    tracker = tracking.WandBTracker(
                        PROJECT, name=self._run, id=self._wandb_id(), resume="allow"
                    )
                case "mlflow":
                    tracker = tracking.MLflowTracker(PROJECT, run_name=self._run)
            tracker.start()
            if kind != "tensorboard":  # it would make a run of its own of the settings
                tracker.store_init_configuration(self._settings.model_dump(mode="json"))
        except Exception as error:  # each package has kinds of its own
            raise TrainingError(
                f"{kind} does not start ({error}); set it up, or take it out of trainer.log_to"
            ) from error
        return tracker

    def _wandb_id(self) -> str:
        path = self._folder / WANDB_ID
        if not path.exists():
            write_file(path, uuid.uuid4().hex.encode())
        return path.read_text()


def _how_to_install(kind: LogKind) -> str:
    # TensorBoard comes with the project, the others as its extras.
    return "pip install tensorboard" if kind == "tensorboard" else f'pip install -e ".[{kind}]"'
