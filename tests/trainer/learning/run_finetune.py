"""A training as each of several processes runs it: base, folder, and a step to die at."""

import os
import signal
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from serving.settings import ServingSettings
from tests.builders import make_rows
from trainer.learning.finetune import StepReport, finetune
from trainer.settings import TrainerSettings

SETTINGS = TrainerSettings(
    rank=4,
    alpha=8,
    learning_rate=1e-2,
    steps=6,
    batch_size=3,
    dtype="float32",
    checkpoint_every=2,
    dropout=0.1,
)
ADAPTER = "adapter.safetensors"


def train(base: Path, folder: Path, dies_at: int = 0, **changes: object) -> None:
    """Train and write the adapter; at step `dies_at` the first process kills itself."""

    def on_step(report: StepReport) -> None:
        if report.step == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = SETTINGS.model_copy(update=changes)
    serving = ServingSettings(device="cpu", dtype="float32", base_model=str(base), threads=1)
    made = finetune(make_rows(5), None, settings, serving, folder, on_step)
    if os.environ.get("RANK", "0") == "0":
        save_file(dict(made.tensors), folder / ADAPTER)


if __name__ == "__main__":
    base, folder = Path(sys.argv[1]), Path(sys.argv[2])
    dies_at = int(sys.argv[3])
    train(base, folder / "cut", dies_at)
    train(base, folder / "whole")
    # Without dropout, whose masks are each process's own, to be compared with one process.
    train(base, folder / "plain", steps=1, dropout=0.0, checkpoint_every=1)
    torch.distributed.destroy_process_group()
