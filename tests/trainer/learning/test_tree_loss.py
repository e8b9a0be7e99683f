"""The packed loss and its gradient are those of plain sequences, a trunk and one branch each."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch.nn import functional

from serving.engine.model import Base, load_base
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from tests.builders import make_rows
from tests.serving.drawn import random_features
from trainer.learning import lora
from trainer.learning.packing import IGNORED, PackedTree, collate, pack
from trainer.learning.tree_loss import SummedLoss
from trainer.settings import TrainerSettings

Gradients = dict[str, torch.Tensor]


def trees(base: Base, batches: int) -> list[PackedTree]:
    """Three listings of different lengths and numbers of branches."""
    builder = PromptBuilder(base.vocabulary, ServingSettings(batches=batches))
    rng = random.Random(1)
    packed = [pack(row, builder, rng, 4096) for row in make_rows(3)]
    assert len({tree.branches.count(0) for tree in packed}) > 1
    return packed


def model_with_lora(folder: Path) -> tuple[Base, PeftModel]:
    """A model as plain transformers loads it, with a LoRA that changes what it answers."""
    base = load_base(ServingSettings(dtype="float32", device="cpu"), folder)
    model = lora.add_lora(base.model, TrainerSettings(rank=4, alpha=8))
    torch.manual_seed(1)
    changed = {name: torch.randn_like(t) / 10 for name, t in lora.read_lora(model).items()}
    lora.write_lora(model, changed)
    return base, model


def unpacked(tree: PackedTree) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Ids and labels of trunk and branch, of one branch after the other, each of shape (1, n)."""
    for branch in range(1, max(tree.branches) + 1):
        places = [i for i, b in enumerate(tree.branches) if b in (0, branch)]
        ids = torch.tensor([[tree.ids[i] for i in places]])
        yield ids, torch.tensor([[tree.labels[i] for i in places]])


def plain_loss(model: torch.nn.Module, tree: PackedTree) -> torch.Tensor:
    """The loss as transformers computes it, without a mask or positions of ours."""
    total = torch.zeros(())
    for ids, labels in unpacked(tree):
        logits = model(input_ids=ids).logits[:, :-1]
        total = total + functional.cross_entropy(
            logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
        )
    return total


def gradients(model: torch.nn.Module, loss: torch.Tensor) -> Gradients:
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, list(named.values()))
    return dict(zip(named, found, strict=True))


def assert_close(one: Gradients, other: Gradients) -> None:
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(other[name], gradient, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("batches", [1, 4, 0])
def test_packed_and_joined_the_loss_and_its_gradient_are_those_of_plain_sequences(
    tiny_base: Path, batches: int
) -> None:
    base, model = model_with_lora(tiny_base)
    packed = trees(base, batches)
    plain = [plain_loss(model, tree) for tree in packed]
    expected = gradients(model, torch.stack(plain).sum())
    loss = SummedLoss(model)
    apart = [loss(collate([tree])) for tree in packed]
    for one, other in zip(plain, apart, strict=True):
        assert other.item() == pytest.approx(one.item(), rel=1e-5)
    assert_close(expected, gradients(model, torch.stack(apart).sum()))
    joined = loss(collate(packed))
    assert joined.item() == pytest.approx(sum(one.item() for one in plain), rel=1e-5)
    assert_close(expected, gradients(model, joined))


def test_the_head_sees_only_tokens_that_predict_a_label(tiny_base: Path) -> None:
    base, model = model_with_lora(tiny_base)
    packed = trees(base, 0)
    seen: list[int] = []
    loss = SummedLoss(model)
    loss.head.register_forward_hook(lambda _, given, out: seen.append(given[0].shape[0]))
    loss(collate(packed))
    assert seen == [sum(tree.label_tokens for tree in packed)]


@pytest.mark.parametrize("changed", ["a sibling", "the trunk", "another listing"])
def test_a_branch_sees_its_trunk_and_itself_alone(tiny_base: Path, changed: str) -> None:
    base, _ = model_with_lora(tiny_base)
    first, second, _ = trees(base, 0)
    first = only_branch_is_taught(first, 2)
    loss = SummedLoss(base.model)
    with torch.no_grad():
        before = loss(collate([first, nothing_taught(second)]))
        if changed == "another listing":
            after = loss(collate([first, nothing_taught(altered(second, range(9)))]))
        else:
            branch = 1 if changed == "a sibling" else 0
            of_branch = [i for i, b in enumerate(first.branches) if b == branch]
            after = loss(collate([altered(first, of_branch), nothing_taught(second)]))
    assert (after.item() == pytest.approx(before.item(), rel=1e-6)) == (changed != "the trunk")


def only_branch_is_taught(tree: PackedTree, branch: int) -> PackedTree:
    labels = [
        label if b == branch else IGNORED
        for label, b in zip(tree.labels, tree.branches, strict=True)
    ]
    return PackedTree(tree.ids, tree.positions, tree.branches, labels)


def nothing_taught(tree: PackedTree) -> PackedTree:
    return only_branch_is_taught(tree, -1)


def altered(tree: PackedTree, places: Sequence[int]) -> PackedTree:
    ids = [token + 1 if place in set(places) else token for place, token in enumerate(tree.ids)]
    return PackedTree(ids, tree.positions, tree.branches, tree.labels)


def test_a_picture_costs_its_trunk_what_embeddings_cost_a_plain_model(tiny_base: Path) -> None:
    base = load_base(ServingSettings(dtype="float32", device="cpu"), tiny_base)
    plain = load_base(ServingSettings(dtype="float32", device="cpu"), tiny_base).model
    builder = PromptBuilder(base.vocabulary, ServingSettings())
    hidden = base.model.config.hidden_size
    rows, rng = make_rows(3), random.Random(1)
    pictures = [[random_features(n, 5, hidden) for n in range(count)] for count in (0, 1, 2)]
    packed = [
        pack(row, builder, rng, 4096, pictures=seen)
        for row, seen in zip(rows, pictures, strict=True)
    ]
    total = torch.zeros(())
    for tree, seen in zip(packed, pictures, strict=True):
        embedded = plain.get_input_embeddings()(torch.tensor(tree.ids))
        if seen:
            embedded[list(tree.seen)] = torch.cat([picture.rows for picture in seen])
        for branch in range(1, max(tree.branches) + 1):
            places = [i for i, b in enumerate(tree.branches) if b in (0, branch)]
            logits = plain(inputs_embeds=embedded[places][None]).logits[0, :-1]
            labels = torch.tensor([tree.labels[i] for i in places])[1:]
            total = total + functional.cross_entropy(
                logits, labels, ignore_index=IGNORED, reduction="sum"
            )
    loss = SummedLoss(base.model)(collate(packed))
    torch.testing.assert_close(loss, total, rtol=1e-4, atol=1e-4)
