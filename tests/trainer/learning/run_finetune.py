"""A training as each of several processes runs it."""

import os
import signal
import traceback
from contextlib import redirect_stderr
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


def train_as(rank: int, port: int, base: Path, folder: Path, dies_at: int) -> None:
    """One process of two on this CPU, which talk by gloo. What it says goes to `folder`.log."""
    with folder.with_suffix(".log").open("a", buffering=1) as log, redirect_stderr(log):
        environment = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in environment.items()})
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "CUDA_VISIBLE_DEVICES": ""}
        os.environ["OMP_NUM_THREADS"] = "1"  # else accelerate takes all there are
        torch.set_num_threads(1)
        try:
            train(base, folder / "cut", dies_at)
            train(base, folder / "whole")
            # Without dropout, whose masks are each process's own, to be compared with one process.
            train(base, folder / "plain", steps=1, dropout=0.0, checkpoint_every=1)
            torch.distributed.destroy_process_group()
        except Exception:
            traceback.print_exc()
            raise
