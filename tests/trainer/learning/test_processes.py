"""Two processes of `accelerate launch`: killed and resumed, and against one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.learning.run_finetune import ADAPTER, train
from trainer.learning.checkpoint import LossLog
from trainer.learning.finetune import CHECKPOINT, LOSSES

REPOSITORY = Path(__file__).resolve().parents[3]


def launch(base: Path, folder: Path, dies_at: int) -> int:
    """The exit status of two processes on this CPU, which talk by gloo."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    command += ["--num_processes", "2", "--main_process_port", "0", "-m"]
    command += ["tests.trainer.learning.run_finetune", str(base), str(folder), str(dies_at)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with (folder.parent / "log").open("a") as log:
        return subprocess.run(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            timeout=300,
            check=False,
        ).returncode


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of a training killed by SIGKILL at step 5 and resumed, of the same uncut, of one step
    without dropout."""
    folder = tmp_path_factory.mktemp("processes") / "trained"
    folder.mkdir()
    assert launch(tiny_base, folder, 5) != 0
    assert (folder / "cut" / CHECKPOINT).exists()
    assert not (folder / "cut" / ADAPTER).exists()
    assert launch(tiny_base, folder, 0) == 0, (folder.parent / "log").read_text()[-3000:]
    return folder


def test_two_processes_killed_and_resumed_give_the_same_adapter(trained: Path) -> None:
    cut, whole = (load_file(trained / name / ADAPTER) for name in ("cut", "whole"))
    assert cut.keys() == whole.keys()
    assert all(torch.equal(cut[name], whole[name]) for name in cut)
    losses = [[e["loss"] for e in LossLog(trained / n / LOSSES).keep(9)] for n in ("cut", "whole")]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 6


def test_two_processes_have_the_gradient_of_one(
    trained: Path, tiny_base: Path, tmp_path: Path
) -> None:
    train(tiny_base, tmp_path, steps=1, dropout=0.0, checkpoint_every=1)
    states = [
        torch.load(folder / CHECKPOINT, weights_only=True)["optimizer"]["state"]
        for folder in (tmp_path, trained / "plain")
    ]
    # After one step Adam's first moment is a tenth of the gradient.
    assert states[0].keys() == states[1].keys() != set()
    for number, state in states[0].items():
        moment = state["exp_avg"]
        torch.testing.assert_close(
            states[1][number]["exp_avg"], moment, rtol=1e-4, atol=1e-4 * float(moment.abs().max())
        )
