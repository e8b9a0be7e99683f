"""Values that a seller accepted as suggested may weigh less in the loss than typed ones."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from serving.engine.model import Base, load_base
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from tests.builders import make_rows
from trainer.data.dataset import Row
from trainer.errors import TrainingError
from trainer.learning.finetune import Finetuned, finetune
from trainer.learning.packing import IGNORED, PackedTree, collate, pack
from trainer.learning.teachable import taught_by, teachable
from trainer.learning.tree_loss import SummedLoss
from trainer.settings import TrainerSettings

ACCEPTED = {"colour": "accepted", "material": "typed", "weight": "changed"}


@pytest.fixture(scope="module")
def tiny(tiny_base: Path) -> Base:
    return load_base(ServingSettings(dtype="float32", device="cpu"), tiny_base)


@pytest.fixture
def prompt(tiny: Base) -> PromptBuilder:
    return PromptBuilder(tiny.vocabulary, ServingSettings())


def rows(count: int = 3, **origins: str) -> list[Row]:
    return [replace(row, origins=origins or ACCEPTED) for row in make_rows(count)]


def packed(row: Row, prompt: PromptBuilder, weight: float) -> PackedTree:
    return pack(row, prompt, random.Random(0), 4096, "mask", weight)


def test_the_answers_of_accepted_values_carry_the_weight_and_all_others_1(
    prompt: PromptBuilder,
) -> None:
    [row] = rows(1)
    tree = packed(row, prompt, 0.25)
    assert len(tree.weights) == len(tree.labels)
    light = [
        label
        for label, weight in zip(tree.labels, tree.weights, strict=True)
        if weight == 0.25 and label != IGNORED
    ]
    assert tuple(light) == prompt.answer(row.values["colour"])
    assert set(tree.label_weights()) == {0.25, 1.0}


@torch.no_grad()
def test_at_1_the_computation_is_bit_by_bit_what_it_is_without_weights(
    tiny: Base, prompt: PromptBuilder
) -> None:
    loss = SummedLoss(tiny.model)
    plain = collate([pack(row, prompt, random.Random(0), 4096) for row in make_rows(3)])
    weighted = collate([packed(row, prompt, 1.0) for row in rows()])
    assert weighted.weights is None
    assert torch.equal(loss(weighted), loss(plain))


@torch.no_grad()
def test_the_loss_of_a_label_counts_by_its_weight(tiny: Base, prompt: PromptBuilder) -> None:
    loss = SummedLoss(tiny.model)
    whole, half, none = (
        loss(collate([packed(row, prompt, weight) for row in rows()])).item()
        for weight in (1.0, 0.5, 1e-9)
    )
    assert none < half < whole
    assert half == pytest.approx((whole + none) / 2, rel=1e-5)


def test_with_weight_0_an_accepted_value_is_left_out(prompt: PromptBuilder) -> None:
    [row] = rows(1)
    blank = replace(row, values=row.values | {"colour": []})
    assert packed(row, prompt, 0.0).ids == packed(blank, prompt, 1.0).ids


def test_with_weight_0_listings_that_were_accepted_whole_teach_nothing(
    prompt: PromptBuilder, caplog: pytest.LogCaptureFixture
) -> None:
    whole = dict.fromkeys(("colour", "material", "weight", "uses", "washable"), "accepted")
    made = [*rows(1), *rows(3, **whole)[1:]]
    settings = TrainerSettings(weight_accepted=0)
    assert teachable(made, prompt, settings, say=True) == made[:1]
    [warning] = caplog.messages
    assert warning.startswith("left out 2 of 3 listings, of which sellers accepted each value")
    with pytest.raises(TrainingError, match=r"raise trainer\.weight_accepted above 0"):
        teachable(made[1:], prompt, settings, say=False)


def test_what_an_adapter_depends_on_has_the_origins_only_where_they_weigh() -> None:
    [row] = rows(1)
    [other] = rows(1, colour="typed")
    assert taught_by(row, TrainerSettings()) == taught_by(other, TrainerSettings())
    light = TrainerSettings(weight_accepted=0.5)
    assert taught_by(row, light) != taught_by(other, light)


@pytest.mark.slow
def test_a_round_learns_less_of_accepted_values(tiny_base: Path, tmp_path: Path) -> None:
    def train(name: str, made: list[Row], weight: float) -> Finetuned:
        trainer = TrainerSettings(
            rank=4,
            alpha=8,
            learning_rate=1e-2,
            steps=3,
            batch_size=3,
            dtype="float32",
            weight_accepted=weight,
        )
        serving = ServingSettings(device="cpu", dtype="float32", base_model=str(tiny_base))
        return finetune(made, None, trainer, serving, tmp_path / name)

    def same(one: Finetuned, other: Finetuned) -> bool:
        return all(torch.equal(one.tensors[name], t) for name, t in other.tensors.items())

    unknown, known = train("unknown", make_rows(5), 1.0), train("known", rows(5), 1.0)
    assert same(unknown, known)
    light = train("light", rows(5), 0.25)
    assert not same(light, known)
    assert [step.tokens for step in light.losses] == [step.tokens for step in known.losses]
    assert light.losses[0].loss == pytest.approx(known.losses[0].loss, rel=0.2)  # a mean as before
