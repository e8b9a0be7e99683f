"""A base with eyes trains as plain transformers would train it, and its eyes stay as they are."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch.nn import functional
from transformers import AutoModelForImageTextToText

from serving.adapter_file import check_adapter, read_adapter, to_peft_folder
from serving.engine.engine import Engine
from serving.engine.model import Base, linear_shapes, load_base, merge
from serving.generation import GenerationRequest
from serving.listing import Listing
from serving.pictures.picture import Picture
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from tests.builders import make_rows
from tests.serving.drawn import noise
from tests.serving.tiny_vision import KINDS, make_tiny_vision_model, pixels_for
from tests.trainer.learning.test_seeing import COLOUR, PICTURES, candidate, coloured, pictures_of
from tests.trainer.learning.test_tree_loss import gradients, model_with_lora, unpacked
from trainer.learning import lora
from trainer.learning.finetune import finetune
from trainer.learning.listing_losses import listing_losses
from trainer.learning.packing import IGNORED, PackedTree, collate, pack
from trainer.learning.tree_loss import SummedLoss
from trainer.settings import TrainerSettings

pytestmark = pytest.mark.slow

TRAINER = TrainerSettings(
    rank=4, alpha=8, learning_rate=1e-2, steps=40, batch_size=6, dtype="float32"
)
GIVEN = ((), (noise(1),), (noise(2, 24, 40), noise(3)))
"""The pictures of three listings."""


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base of a class with eyes."""
    return make_tiny_vision_model(tmp_path_factory.mktemp(request.param), request.param)


def packed(base: Base, batches: int) -> list[PackedTree]:
    builder = PromptBuilder(base.vocabulary, ServingSettings(batches=batches))
    rng = random.Random(1)
    assert base.eyes is not None
    return [
        pack(row, builder, rng, 4096, pictures=base.eyes.see(pictures))
        for row, pictures in zip(make_rows(3), GIVEN, strict=True)
    ]


def plain_loss(
    model: PeftModel, folder: Path, tree: PackedTree, pictures: Sequence[Picture]
) -> torch.Tensor:
    """The loss as transformers computes it: pixels, masks and positions are its own business."""
    inputs = pixels_for(model.get_base_model().config, folder, pictures)
    total = torch.zeros(())
    for ids, labels in unpacked(tree):
        logits = model(input_ids=ids, **inputs(ids)).logits[0, :-1]
        total = total + functional.cross_entropy(
            logits, labels[0, 1:], ignore_index=IGNORED, reduction="sum"
        )
    return total


@pytest.mark.parametrize("batches", [1, 0])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_loss_and_gradient_are_those_of_plain_transformers_on_unpacked_sequences(
    folder: Path, batches: int, checkpointing: bool
) -> None:
    base, model = model_with_lora(folder)
    trees = packed(base, batches)
    plain = torch.stack(
        [plain_loss(model, folder, tree, seen) for tree, seen in zip(trees, GIVEN, strict=True)]
    )
    expected = gradients(model, plain.sum())
    if checkpointing:
        base.model.gradient_checkpointing_enable({"use_reentrant": False})
    loss = SummedLoss(model).train()
    for one, tree in zip(plain, trees, strict=True):
        assert loss(collate([tree])).item() == pytest.approx(one.item(), rel=1e-4)
    joined = loss(collate(trees))
    assert joined.item() == pytest.approx(plain.sum().item(), rel=1e-4)
    found = gradients(model, joined)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        # Relative to the whole: the model's large weights make gradients of tens.
        assert (found[name] - gradient).norm() < 1e-4 * gradient.norm(), name


def test_lora_is_on_the_language_part_alone(folder: Path) -> None:
    base, model = model_with_lora(folder)
    prefix, suffix = "base_model.model.", ".lora_A.weight"
    trained = {
        name.removeprefix(prefix).removesuffix(suffix)
        for name in lora.read_lora(model)
        if name.endswith(suffix)
    }
    base = load_base(ServingSettings(dtype="float32", decoder="torch", device="cpu"), folder)
    served = {name for name in linear_shapes(base.model) if ".layers." in name}
    assert trained == served


def test_eyes_are_not_touched_by_what_training_does_to_the_model(folder: Path) -> None:
    base, model = model_with_lora(folder)
    assert base.eyes is not None
    [before] = base.eyes.see([noise(1)])
    lora.freeze_in_bfloat16(model)
    SummedLoss(model).train()
    fresh = type(base.eyes)._compute(base.eyes, noise(1))  # type: ignore[attr-defined]
    assert torch.equal(before.rows, fresh.rows)
    projections = base.model.get_decoder().layers[0].self_attn.q_proj
    assert projections.base_layer.weight.dtype is torch.bfloat16


def test_what_only_a_picture_shows_is_learnt_and_the_engine_tells_it(
    folder: Path, tmp_path: Path
) -> None:
    settings = ServingSettings(
        base_model=str(folder),
        device="cpu",
        dtype="float32",
        threads=1,
        pictures=1,
        adapter_store=tmp_path / "store",
    )
    rows = [*coloured(3), *coloured(3, text="")]
    made = finetune(rows, None, TRAINER, settings, tmp_path / "one", pictures=pictures_of)
    assert made.losses[-1].loss < 0.05 < made.losses[0].loss
    assert made.sight is None, "its own eyes need no projector"
    adapter = candidate(made)
    with Engine(settings, folder) as engine:
        engine.push(adapter.id, adapter.hash, adapter.blob)
        for text in ("a mug", ""):
            for colour, picture in PICTURES.items():
                request = GenerationRequest(
                    Listing("new", "Mugs", text),
                    (COLOUR,),
                    adapter_hash=adapter.hash,
                    pictures=(picture.data,),
                )
                result = engine.generate(request)
                assert (result.values, result.pictures) == ({"colour": [colour]}, 1)
    # A child starts where it stands: the guard of a round compares the two with pictures.
    child = TRAINER.model_copy(update={"steps": 1, "learning_rate": 1e-6})
    again = finetune(rows, adapter, child, settings, tmp_path / "two", pictures=pictures_of)
    assert again.losses[0].loss < 2 * made.losses[-1].loss + 0.01


def test_an_adapter_fits_the_base_and_plain_peft_and_its_losses_go_by_pictures(
    folder: Path, tmp_path: Path
) -> None:
    settings = ServingSettings(
        base_model=str(folder),
        device="cpu",
        decoder="torch",
        dtype="float32",
        threads=1,
        pictures=1,
    )
    rows = coloured(3)
    trainer = TRAINER.model_copy(update={"steps": 12})
    made = finetune(rows, None, trainer, settings, tmp_path / "work", pictures=pictures_of)
    adapter = read_adapter(candidate(made).blob)
    base = load_base(settings, folder)
    check_adapter(adapter, linear_shapes(base.model), base.hash)

    to_peft_folder(adapter.blob, tmp_path / "peft")
    plain = AutoModelForImageTextToText.from_pretrained(folder)
    peft = PeftModel.from_pretrained(plain, tmp_path / "peft").eval()
    ids = torch.tensor([[5, 17, 300, 42, 7, 99]])
    with torch.no_grad():
        ours, theirs = merge(base.model, adapter)(ids).logits, peft(input_ids=ids).logits
        assert not torch.allclose(ours, base.model(ids).logits, atol=1e-1)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)

    sighted = listing_losses(rows, adapter, trainer, settings, pictures=pictures_of)
    blind = listing_losses(rows, adapter, trainer, settings)
    assert sum(sighted) < sum(blind)
