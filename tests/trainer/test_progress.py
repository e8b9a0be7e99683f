"""The bar of a round, as a person sees it."""

from pathlib import Path

import pytest
from rich.console import Console

from trainer.progress import RoundProgress


def test_the_bar_shows_the_loss_and_the_time_left_also_where_steps_are_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    progress = RoundProgress(tmp_path / "progress.json", show=True)
    monkeypatch.setattr(progress._bars, "get_time", lambda: now)
    for step in (1, 2, 3):
        now += 60
        progress.update("train", step, 10, loss=2.5)
    console = Console(width=100)
    with console.capture() as shown:
        console.print(progress._bars.get_renderable())
    assert "3/10" in shown.get()
    assert "loss 2.500" in shown.get()
    assert "0:07:00" in shown.get()
