"""What a step learns from, and how fast: functions of the step alone, so nothing to be resumed."""

import math
import random
from collections.abc import Sequence

from serving.engine.eyes.features import Features
from serving.prompt import PromptBuilder
from trainer.data.dataset import Row
from trainer.learning.packing import PackedTree, pack
from trainer.settings import TrainerSettings


def learning_rate(step: int, settings: TrainerSettings) -> float:
    """The rate of `step` (from 0): linear warm-up, then linear decay to its final share."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / (settings.warmup_steps + 1)
    way = max(settings.steps - 1 - settings.warmup_steps, 1)
    left = 1 - min((step - settings.warmup_steps) / way, 1)
    share = settings.final_learning_rate + (1 - settings.final_learning_rate) * left
    return settings.learning_rate * share


FADE_IN = 0.2
"""The share of a round's steps in which pictures come into sight, where the parent did not see."""

INVISIBLE = -1e4
"""A bias on attention's scores that leaves nothing of what they are against, however large they
are: where a picture stands first, the first word has nothing else to attend to but itself."""


def picture_bias(step: int, steps: int) -> float:
    """What is added to attention's scores against pictures in step `step` of `steps`, from 0.

    It multiplies the weight that attention gives them, before it sums to 1, by a share that grows
    in equal parts from none, before the first step, to all. So a fresh projector's rows, which mean
    nothing yet, do not drown what the model reads.
    """
    share = (step + 1) / (FADE_IN * steps + 1)
    return max(INVISIBLE, min(0.0, math.log(share)))


def draws(rows: int, step: int, settings: TrainerSettings) -> list[tuple[int, int]]:
    """The (epoch, row) pairs of `step`: each epoch takes every row once, in an order of its own."""
    places = range(step * settings.batch_size, (step + 1) * settings.batch_size)
    return [
        (place // rows, _epoch_order(rows, place // rows, settings.seed)[place % rows])
        for place in places
    ]


def draw_tree(
    row: Row,
    epoch: int,
    builder: PromptBuilder,
    settings: TrainerSettings,
    pictures: Sequence[Features] = (),
) -> PackedTree:
    """The tree of `row` in `epoch`: order and split of its questions are drawn by the seed."""
    rng = random.Random(f"pack {settings.seed} {epoch} {row.listing.listing_id}")
    blank, weight = settings.blank, settings.weight_accepted
    return pack(row, builder, rng, settings.max_length, blank, weight, pictures)


def _epoch_order(rows: int, epoch: int, seed: int) -> list[int]:
    order = list(range(rows))
    random.Random(f"order {seed} {epoch}").shuffle(order)
    return order
