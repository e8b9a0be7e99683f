"""Training one adapter of the experiment: its plan carried out, its file and facts left behind."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from schemas.events import BASE_ADAPTER
from serving.adapter_file import AdapterFile, read_adapter
from serving.process.files import write_file
from serving.process.memory import give_back
from serving.settings import ServingSettings
from trainer.data.pictures import RowPictures
from trainer.errors import TrainingError
from trainer.learning.averaging import make_candidate
from trainer.learning.finetune import CHECKPOINT, LOSSES, Finetuned, StepReport, finetune
from trainer.learning.strategies import Plan
from trainer.settings import TrainerSettings

logger = logging.getLogger(__name__)

ADAPTER, TRAINED = "adapter.safetensors", "trained.json"


class Training(BaseModel):
    """How an adapter came about."""

    steps: int
    listings: int
    label_tokens: int
    seconds: float
    dtype: str
    losses: list[float]  # of each step, nats a label token
    averaging_error: float | None = None  # relative, of the truncated average with the parent


@dataclass(frozen=True)
class Made:
    """An adapter, read when needed (hundreds would not fit into memory), and how it came about."""

    path: Path
    training: Training

    def adapter(self) -> AdapterFile:
        """The adapter itself."""
        return read_adapter(self.path.read_bytes())


def train(
    plan: Plan,
    settings: TrainerSettings,
    serving: ServingSettings,
    folder: Path,
    name: str,
    on_step: Callable[[], None],
) -> None:
    """Train the adapter called `name` by `plan`; leaves `ADAPTER` and `TRAINED` in `folder`.

    Killed, it goes on from its last checkpoint when called again. `on_step` is told of every step.

    Raises:
        TrainingError: it cannot be trained.
    """
    started = time.perf_counter()
    made = _finetuned(plan, settings, serving, folder, on_step)
    start = plan.start
    lineage = (start.id, start.hash) if start else (BASE_ADAPTER, BASE_ADAPTER)
    blob, error = make_candidate(made, plan, settings, name, *lineage)
    training = Training(
        steps=len(made.losses),
        listings=len(plan.rows),
        label_tokens=sum(step.tokens for step in made.losses),
        seconds=sum(step.seconds for step in made.losses),
        dtype=made.dtype,
        losses=[step.loss for step in made.losses],
        averaging_error=error,
    )
    write_file(folder / TRAINED, training.model_dump_json().encode())
    # Last: where it is, all is.
    write_file(folder / ADAPTER, blob)
    for left in (CHECKPOINT, LOSSES):
        (folder / left).unlink(missing_ok=True)
    logger.info(
        "trained %s: %d steps on %d listings in %.0f s, loss %.3f to %.3f",
        name,
        training.steps,
        training.listings,
        time.perf_counter() - started,
        training.losses[0],
        training.losses[-1],
    )


def _finetuned(
    plan: Plan,
    settings: TrainerSettings,
    serving: ServingSettings,
    folder: Path,
    on_step: Callable[[], None],
) -> Finetuned:
    """In a thread that ends with it, and ends early when this one is interrupted."""
    interrupted = threading.Event()

    def told(report: StepReport) -> None:
        if interrupted.is_set():
            raise TrainingError("interrupted; the same command goes on from here")
        on_step()

    with ThreadPoolExecutor(1, "train") as thread:
        seen = RowPictures.of_settings(serving).of
        job = thread.submit(
            finetune, plan.rows, plan.start, settings, serving, folder, told, pictures=seen
        )
        try:
            made = job.result()
        except BaseException:
            interrupted.set()
            raise
    give_back()
    return made
