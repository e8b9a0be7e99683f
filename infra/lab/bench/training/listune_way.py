"""Ours: `trainer.learning.finetune`, one packed tree a listing."""

import tempfile
from contextlib import suppress
from pathlib import Path

from infra.lab.bench.results import Options
from infra.lab.bench.training.arm import Steps, TrainingJob
from serving.settings import ServingSettings
from trainer.data.dataset import read_heldout
from trainer.learning.finetune import StepReport, finetune
from trainer.settings import TrainerSettings


class _EnoughError(Exception):
    """Enough steps are measured."""


def train(job: TrainingJob, steps: Steps) -> Options:
    """Options: `micro_batch_size`, listings a forward pass (default 1)."""
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
    serving = ServingSettings(base_model=job.base, batches=job.batches)

    def on_step(report: StepReport) -> None:
        if steps.step(report.loss):
            raise _EnoughError

    with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
        finetune(read_heldout(Path(job.file)), None, trainer, serving, Path(folder), on_step)
    return {}
