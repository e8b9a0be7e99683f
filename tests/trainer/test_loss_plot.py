"""The picture of the rounds' losses, and where it comes from."""

import json
from pathlib import Path

import pytest

from trainer.errors import DataError
from trainer.loss_plot import plot_losses, read_losses, read_rounds


def log_losses(folder: Path, losses: list[float]) -> None:
    folder.mkdir(parents=True)
    lines = [json.dumps({"step": i, "loss": loss, "lr": 1.0}) for i, loss in enumerate(losses, 1)]
    (folder / "losses.jsonl").write_text("".join(line + "\n" for line in lines))


def test_each_round_is_a_line_in_the_rounds_order(tmp_path: Path) -> None:
    log_losses(tmp_path / "default-r10-a1", [1.5, 1.0])
    log_losses(tmp_path / "default-r2-a1", [3.0, 2.0])
    (tmp_path / "baselines").mkdir()
    rounds = read_rounds(tmp_path)
    assert list(rounds) == ["default-r2-a1", "default-r10-a1"]
    assert rounds["default-r2-a1"] == [(1, 3.0), (2, 2.0)]
    drawn = plot_losses(rounds, tmp_path / "made" / "losses.png")
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_what_is_no_loss_log_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no round has been trained"):
        read_rounds(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_losses(tmp_path / "losses.jsonl")
    (tmp_path / "losses.jsonl").write_text("1\n")
    with pytest.raises(DataError, match="is no loss log"):
        read_losses(tmp_path / "losses.jsonl")
