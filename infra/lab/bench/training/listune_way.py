"""Ours: `trainer.learning.finetune`, one packed tree a listing."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from infra.lab.bench.photographs import KEPT, NEW, NONE, sent
from infra.lab.bench.results import Options
from infra.lab.bench.training.arm import Steps, TrainingJob
from serving.pictures.picture import Picture
from serving.settings import ServingSettings
from trainer.data.dataset import Row, read_heldout
from trainer.learning.finetune import StepReport, finetune
from trainer.settings import TrainerSettings


class _EnoughError(Exception):
    """Enough steps are measured."""


class _Shown:
    """The picture of each listing: the same one in every step, or a new one, or none."""

    def __init__(self, kind: str, rows: Sequence[Row], steps: int) -> None:
        self.step = 0
        made = map(Picture, sent(ServingSettings().picture_edge))
        of_steps = {NONE: 0, KEPT: 1, NEW: steps}[kind]
        self._pictures = [{r.listing.listing_id: next(made) for r in rows} for _ in range(of_steps)]

    def __call__(self, row: Row) -> Sequence[Picture]:
        """What was seen of `row` in this step."""
        if not self._pictures:
            return ()
        return (self._pictures[self.step % len(self._pictures)][row.listing.listing_id],)


def train(job: TrainingJob, steps: Steps) -> Options:
    """Options: `micro_batch_size`, listings a forward pass (default 1); `picture`, the kind that a
    listing has (default none), and `encoder`, the folder of one to see it with."""
    trainer = TrainerSettings.model_validate(
        {
            "rank": job.rank,
            "alpha": job.alpha,
            "learning_rate": job.learning_rate,
            "batch_size": job.listings,
            "steps": job.steps + 1,
            "checkpoint_every": job.steps + 2,
            "micro_batch_size": job.options.get("micro_batch_size", 1),
            "dtype": job.dtype,
        }
    )
    serving = ServingSettings(
        base_model=job.base, batches=job.batches, encoder=str(job.options.get("encoder", ""))
    )
    rows = read_heldout(Path(job.file))
    shown = _Shown(str(job.options.get("picture", NONE)), rows, job.steps + 1)

    def on_step(report: StepReport) -> None:
        shown.step += 1
        if steps.step(report.loss):
            raise _EnoughError

    with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
        finetune(rows, None, trainer, serving, Path(folder), on_step, shown)
    return {}
