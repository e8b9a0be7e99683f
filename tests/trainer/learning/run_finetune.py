"""A training, with pictures, as each of several processes runs it."""

import os
import signal
import traceback
from contextlib import redirect_stderr
from pathlib import Path

import torch
from safetensors.torch import save_file

from serving.pictures.picture import Picture
from serving.settings import ServingSettings
from tests.builders import make_rows
from tests.serving.drawn import plain
from trainer.data.dataset import Row
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


PICTURE = plain("red")


def train(base: Path, encoder: Path, folder: Path, dies_at: int = 0, **changes: object) -> None:
    """Train and write the adapter; at step `dies_at` the first process kills itself."""

    def on_step(report: StepReport) -> None:
        if report.step == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = SETTINGS.model_copy(update=changes)
    serving = ServingSettings(
        device="cpu", dtype="float32", base_model=str(base), encoder=str(encoder), threads=1
    )
    rows = make_rows(5)
    made = finetune(rows, None, settings, serving, folder, on_step, every_other_has_a_picture)
    if os.environ.get("RANK", "0") == "0":
        save_file(dict(made.tensors), folder / ADAPTER)


def every_other_has_a_picture(row: Row) -> list[Picture]:
    """So that in a step one process may see a picture and another none."""
    return [PICTURE] if int(row.listing.listing_id[-1]) % 2 else []


def train_as(rank: int, port: int, base: Path, encoder: Path, folder: Path, dies_at: int) -> None:
    """One process of two on this CPU, which talk by gloo. What it says goes to `folder`.log."""
    with folder.with_suffix(".log").open("a", buffering=1) as log, redirect_stderr(log):
        environment = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in environment.items()})
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "CUDA_VISIBLE_DEVICES": ""}
        os.environ["OMP_NUM_THREADS"] = "1"  # else accelerate takes all there are
        torch.set_num_threads(1)
        try:
            train(base, encoder, folder / "cut", dies_at)
            train(base, encoder, folder / "whole")
            # Without dropout, whose masks are each process's own, to be compared with one process.
            train(base, encoder, folder / "plain", steps=1, dropout=0.0, checkpoint_every=1)
            torch.distributed.destroy_process_group()
        except Exception:
            traceback.print_exc()
            raise
