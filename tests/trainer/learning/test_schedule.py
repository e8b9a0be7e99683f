"""Which listings a step takes, and at what rate."""

import pytest

from trainer.learning.schedule import draws, learning_rate
from trainer.settings import TrainerSettings


def test_each_epoch_takes_every_row_once() -> None:
    settings = TrainerSettings(batch_size=4)
    drawn = [draw for step in range(5) for draw in draws(10, step, settings)]
    for epoch in (0, 1):
        assert sorted(row for e, row in drawn if e == epoch) == list(range(10))
    assert drawn[:10] != [(0, row) for _, row in drawn[10:]]


def test_the_rate_warms_up_and_decays_to_its_final_share() -> None:
    settings = TrainerSettings(learning_rate=1.0, warmup_steps=2, steps=10, final_learning_rate=0.1)
    rates = [learning_rate(step, settings) for step in range(10)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert rates[-1] == pytest.approx(0.1)
    assert rates[2:] == sorted(rates[2:], reverse=True)
