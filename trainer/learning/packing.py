"""Listings into tensors: one packed tree a listing, the same tree that serving decodes.

A tree is the trunk once, then its branches of questions and answers. Only answer tokens, closing
newline included, carry a label. Order and split of the attributes are drawn anew each time a
listing is packed (paper: "random assignment").

A blank is unlabelled, not a taught "unknown" (design.md, "Training"): with `blank = mask` it is
left out of its branch. With `abstain`, for comparison, its answer is the newline alone, which
serving reads as an abstention.

A value that the seller accepted as suggested may weigh less than one that was typed or changed
(`weight_accepted`): its answer tokens carry that weight, and with 0 it is left out as a blank is.

A value of more tokens than serving lets an answer have is left out as well, in either case: serving
would cut it off, so to teach it is to teach answers that never come.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch

from serving.engine.eyes.features import Features, stacked
from serving.prompt import Position, PromptBuilder, Trunk, on_axes, split_batches
from trainer.data.dataset import Row
from trainer.learning.tree_attention import TRUNK, TreeLayout, lay_out
from trainer.settings import Blank

IGNORED = -100
"""The label of a token that is not taught."""


@dataclass(frozen=True)
class PackedTree:
    """One listing; the lists are equally long.

    `labels` stand at the answer tokens' own places: the token before predicts them. `weights` are
    those of the labels; empty where each weighs 1. `seen` are the places of the rows of `pictures`,
    where `ids` has placeholders.
    """

    ids: list[int]
    positions: list[Position]
    branches: list[int]
    labels: list[int]
    weights: list[float] = field(default_factory=list)
    pictures: Sequence[Features] = ()
    seen: Sequence[int] = ()

    @property
    def label_tokens(self) -> int:
        """How many tokens are taught."""
        return sum(label != IGNORED for label in self.labels)

    def label_weights(self) -> list[float]:
        """The weight of each token that is taught, in their order."""
        weights = self.weights or [1.0] * len(self.labels)
        return [w for w, label in zip(weights, self.labels, strict=True) if label != IGNORED]


@dataclass(frozen=True)
class SeenRows:
    """What eyes make of the pictures of a batch, before a projector."""

    rows: torch.Tensor  # (n,) places of tokens
    features: torch.Tensor  # (n, width)
    deep: tuple[torch.Tensor, ...]  # each (n, hidden), added after the first layers

    def to(self, device: torch.device) -> "SeenRows":
        """The same on another device."""
        deep = tuple(layer.to(device) for layer in self.deep)
        return SeenRows(self.rows.to(device), self.features.to(device), deep)


@dataclass(frozen=True)
class Batch:
    """Trees one after the other as tensors: nothing is padded."""

    ids: torch.Tensor  # (1, tokens)
    positions: torch.Tensor  # (1, tokens), or (3, 1, tokens) where pictures have three axes
    tree: TreeLayout
    predicting: torch.Tensor  # (labels,) places of the tokens whose next one is taught
    labels: torch.Tensor  # (labels,) those next ones
    weights: torch.Tensor | None = None  # (labels,) of each in the loss; None: 1 each
    seen: SeenRows | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(
            self.ids.to(device),
            self.positions.to(device),
            self.tree.to(device),
            self.predicting.to(device),
            self.labels.to(device),
            None if self.weights is None else self.weights.to(device),
            None if self.seen is None else self.seen.to(device),
        )


def pack(
    row: Row,
    builder: PromptBuilder,
    rng: random.Random,
    max_length: int,
    blank: Blank = "mask",
    weight_accepted: float = 1.0,
    pictures: Sequence[Features] = (),
) -> PackedTree:
    """The tree of `row` in at most `max_length` tokens; `rng` draws the order and the split.

    Pictures after which not one question fits are left out, the last first; a trunk that is longer
    without any is cut, and nothing can be taught after it. Questions that do not fit are left out;
    since the order is drawn anew each time, each gets its turn in another epoch.
    """
    answers = taught_answers(row, builder, blank, weight_accepted)
    asked = [a for a in row.attributes if a.name in answers]
    batches = split_batches(asked, builder.settings.batches, str(rng.getrandbits(64)))
    shortest = min((len(builder.segment(a).ids) + len(answers[a.name]) for a in asked), default=0)
    trunk = builder.trunk(row.listing, pictures=[picture.tokens for picture in pictures])
    while pictures and len(trunk) + shortest > max_length:
        pictures = pictures[:-1]
        trunk = builder.trunk(row.listing, pictures=[picture.tokens for picture in pictures])
    if len(trunk) > max_length:
        trunk = Trunk(trunk.ids[:max_length], range(max_length), max_length)
    tree = PackedTree(
        ids=list(trunk.ids),
        positions=list(trunk.positions),
        branches=[TRUNK] * len(trunk),
        labels=[IGNORED] * len(trunk),
        weights=[] if weight_accepted == 1 else [1.0] * len(trunk),
        pictures=pictures,
        seen=trunk.seen,
    )
    for branch, attributes in enumerate(batches, start=TRUNK + 1):
        position = trunk.end
        for attribute in attributes:
            question = builder.segment(attribute).ids
            answer = answers[attribute.name]
            count = len(question) + len(answer)
            if len(tree.ids) + count > max_length:
                continue
            tree.ids.extend((*question, *answer))
            tree.positions.extend(range(position, position + count))
            tree.branches.extend([branch] * count)
            tree.labels.extend((*[IGNORED] * len(question), *answer))
            if weight_accepted != 1:
                weight = weight_accepted if row.accepted(attribute) else 1.0
                tree.weights.extend([weight] * count)
            position += count
    return tree


def without_pictures(tree: PackedTree) -> PackedTree:
    """`tree` as a model reads it that does not see; its pictures must not push the text."""
    seen = frozenset(tree.seen)

    def text(values: list[Any]) -> list[Any]:
        return [value for place, value in enumerate(values) if place not in seen]

    return PackedTree(
        text(tree.ids), text(tree.positions), text(tree.branches), text(tree.labels),
        text(tree.weights),
    )  # fmt: skip


def taught_answers(
    row: Row, builder: PromptBuilder, blank: Blank = "mask", weight_accepted: float = 1.0
) -> dict[str, tuple[int, ...]]:
    """Attribute to the token ids of what is taught for it; without those that are left out."""
    answers = {}
    for attribute in row.attributes:
        values = row.answer(attribute)
        if values and not weight_accepted and row.accepted(attribute):
            continue
        if values:
            ids = builder.answer(values)
            if len(ids) <= builder.cap(attribute):
                answers[attribute.name] = ids
        elif blank == "abstain":
            answers[attribute.name] = (builder.vocabulary.newline,)
    return answers


def teaches(
    row: Row,
    builder: PromptBuilder,
    max_length: int,
    blank: Blank = "mask",
    weight_accepted: float = 1.0,
) -> bool:
    """Whether a tree of `row` has a label, which does not depend on how it is drawn."""
    # As soon as one question fits by itself, the first of those that do is in the tree.
    tree = pack(row, builder, random.Random(0), max_length, blank, weight_accepted)
    return tree.label_tokens > 0


def join(trees: Sequence[PackedTree], max_length: int) -> list[list[PackedTree]]:
    """Rows of trees, each of at most `max_length` tokens: every tree goes to the first it fits."""
    rows: list[list[PackedTree]] = []
    room: list[int] = []
    for tree in trees:
        size = len(tree.ids)
        number = next((n for n, left in enumerate(room) if left >= size), len(rows))
        if number == len(rows):
            rows.append([])
            room.append(max_length)
        rows[number].append(tree)
        room[number] -= size
    return rows


def collate(trees: Sequence[PackedTree]) -> Batch:
    """`trees` as one batch."""
    labels = [label for tree in trees for label in tree.labels]
    taught = [place for place, label in enumerate(labels) if label != IGNORED]
    return Batch(
        ids=torch.tensor([[token for tree in trees for token in tree.ids]]),
        positions=_positions(trees),
        tree=lay_out([tree.branches for tree in trees]),
        # A label never stands first: a trunk or a question comes before.
        predicting=torch.tensor([place - 1 for place in taught], dtype=torch.long),
        labels=torch.tensor([labels[place] for place in taught], dtype=torch.long),
        weights=_weights(trees),
        seen=_seen(trees),
    )


def _positions(trees: Sequence[PackedTree]) -> torch.Tensor:
    positions = torch.tensor(on_axes([position for tree in trees for position in tree.positions]))
    return positions[None] if positions.ndim == 1 else positions.T[:, None]


def _seen(trees: Sequence[PackedTree]) -> SeenRows | None:
    pictures = [picture for tree in trees for picture in tree.pictures]
    if not pictures:
        return None
    starts = accumulate((len(tree.ids) for tree in trees), initial=0)
    rows = [
        start + place for tree, start in zip(trees, starts, strict=False) for place in tree.seen
    ]
    features, deep = stacked(pictures)
    return SeenRows(torch.tensor(rows, dtype=torch.long), features, deep)


def _weights(trees: Sequence[PackedTree]) -> torch.Tensor | None:
    if not any(tree.weights for tree in trees):
        return None
    return torch.tensor([weight for tree in trees for weight in tree.label_weights()])
