"""A listing's loss is what training would start from, under the base and under an adapter."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from serving.adapter_file import SUFFIX_B, read_adapter, write_adapter
from serving.settings import ServingSettings
from tests.builders import make_rows
from tests.trainer.learning.test_seeing import TRAINER, World, candidate, coloured, pictures_of
from tests.trainer.learning.test_seeing import serving as seeing
from trainer.learning.finetune import finetune
from trainer.learning.listing_losses import listing_losses
from trainer.settings import TrainerSettings


def test_training_lowers_the_loss_of_what_was_trained_on(tmp_path: Path, tiny_base: Path) -> None:
    serving = ServingSettings(base_model=str(tiny_base), dtype="float32", device="cpu", threads=1)
    trainer = TrainerSettings(
        rank=4, alpha=8, learning_rate=1e-2, steps=8, batch_size=4, dtype="float32"
    )
    rows = make_rows(4)
    made = finetune(rows, None, trainer, serving, tmp_path)
    header = {
        "adapter_id": "a",
        "parent_id": "base",
        "parent_hash": "base",
        "base_hash": made.base_hash,
        "rank": 4,
        "alpha": 8,
        "peft_config": made.peft_config,
    }
    before = listing_losses(rows, None, trainer, serving)
    after = listing_losses(
        rows, read_adapter(write_adapter(made.tensors, header)), trainer, serving
    )
    assert all(new < old for old, new in zip(before, after, strict=True))
    # The first step's loss is that of all four listings together, before anything was learnt.
    assert math.fsum(before) / 4 == pytest.approx(made.losses[0].loss, rel=0.05)

    nothing = {n: torch.zeros_like(t) if SUFFIX_B in n else t for n, t in made.tensors.items()}
    as_base = read_adapter(write_adapter(nothing, header))
    assert listing_losses(rows, as_base, trainer, serving) == pytest.approx(before, rel=1e-5)


def test_a_listing_without_values_has_nothing_to_lose(tiny_base: Path) -> None:
    serving = ServingSettings(base_model=str(tiny_base), dtype="float32", device="cpu")
    [row] = make_rows(1)
    told: list[tuple[int, int]] = []
    rows = [replace(row, values={}), row]
    empty, full = listing_losses(
        rows, None, TrainerSettings(), serving, lambda done, total: told.append((done, total))
    )
    assert empty == 0.0
    assert full > 0.0
    assert told == [(1, 2), (2, 2)]


@pytest.mark.slow
def test_a_listing_that_only_its_picture_tells_loses_less_with_it(
    tiny_base: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    world, rows = World(tiny_base, tiny_encoder, tmp_path), coloured(3)
    adapter = candidate(world.train(rows, steps=20))
    settings = seeing(tiny_base, tiny_encoder)
    sighted = listing_losses(rows, adapter, TRAINER, settings, pictures=pictures_of)
    assert sum(sighted) < sum(listing_losses(rows, adapter, TRAINER, settings))
    # Who cannot see goes by the text, whatever there is to be seen.
    base = listing_losses(rows, None, TRAINER, settings, pictures=pictures_of)
    assert base == listing_losses(rows, None, TRAINER, settings)
