"""A training of two processes: killed and resumed, and against one process."""

from multiprocessing import connection
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from infra.local.ports import free_port
from tests.forks import FORKS
from tests.trainer.learning.run_finetune import ADAPTER, train, train_as
from trainer.learning.checkpoint import LossLog
from trainer.learning.finetune import CHECKPOINT, LOSSES

pytestmark = pytest.mark.slow


def launch(base: Path, encoder: Path, folder: Path, dies_at: int) -> bool:
    """Whether both processes come to their end; one that dies takes the other with it."""
    port = free_port()
    ranks = [
        FORKS.Process(target=train_as, args=(rank, port, base, encoder, folder, dies_at))
        for rank in (0, 1)
    ]
    for rank in ranks:
        rank.start()
    codes: set[int | None] = set()
    try:
        while None in (codes := {rank.exitcode for rank in ranks}) and codes <= {None, 0}:
            connection.wait([rank.sentinel for rank in ranks if rank.exitcode is None])
    finally:
        for rank in ranks:
            rank.kill()
            rank.join()
    return codes == {0}


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of a training killed by SIGKILL at step 5 and resumed, of the same uncut, of one step
    without dropout."""
    folder = tmp_path_factory.mktemp("processes") / "trained"
    folder.mkdir()
    assert not launch(tiny_base, tiny_encoder, folder, 5)
    assert (folder / "cut" / CHECKPOINT).exists()
    assert not (folder / "cut" / ADAPTER).exists()
    whole = launch(tiny_base, tiny_encoder, folder, 0)
    assert whole, folder.with_suffix(".log").read_text()[-3000:]
    return folder


def test_two_processes_killed_and_resumed_give_the_same_adapter(trained: Path) -> None:
    cut, whole = (load_file(trained / name / ADAPTER) for name in ("cut", "whole"))
    assert cut.keys() == whole.keys()
    assert all(torch.equal(cut[name], whole[name]) for name in cut)
    losses = [[e["loss"] for e in LossLog(trained / n / LOSSES).keep(9)] for n in ("cut", "whole")]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 6


def test_two_processes_have_the_gradient_of_one(
    trained: Path, tiny_base: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    train(tiny_base, tiny_encoder, tmp_path, steps=1, dropout=0.0, checkpoint_every=1)
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
