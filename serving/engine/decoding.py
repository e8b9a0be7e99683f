"""Greedy decoding of many prompt trees side by side.

A tree enters at any pass and leaves with the pass that answers its last question; nobody waits for
the slowest (continuous batching, as in Orca, OSDI 2022). A tree's first pass feeds its trunk and
every branch's first question, each later one what its unfinished branches have next
(`serving.engine.branch`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from serving.engine.backend import Adapter, AnyBackend, Fed
from serving.engine.branch import Answer, Branch, Rules
from serving.engine.eyes.features import Features, seen_in
from serving.prompt import PromptTree, Trunk

MAX_DRAFT = 6


@dataclass
class Decoded:
    """All answers of a tree by attribute name, and what they cost.

    `logits_computed` counts the rows that went through the head.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    forward_passes: int = 0
    tokens_computed: int = 0
    logits_computed: int = 0


class Tree:
    """One tree in the making."""

    def __init__(
        self,
        tree: PromptTree,
        rules: Rules,
        lora: Adapter | None = None,
        pictures: Sequence[Features] = (),
    ) -> None:
        """`pictures` are those of the trunk in its order, their rows embeddings by now."""
        self.lora = lora
        self.trunk = tree.trunk
        self.branches = [Branch(segments, rules, tree.trunk.ids) for segments in tree.branches]
        self.seen = seen_in(tree.trunk, pictures)
        self.cache: Any = None  # the backend's, from the first pass on
        self.decoded = Decoded()

    @property
    def done(self) -> bool:
        """Whether all its questions are answered."""
        return all(branch.done for branch in self.branches)

    def rows(self) -> int:
        """Tokens that its next pass computes."""
        trunk = len(self.trunk) if self.cache is None else 0
        return trunk + sum(len(branch.plan()[0]) for branch in self.branches if not branch.done)


@dataclass(frozen=True)
class Cost:
    """What a pass computed: rows, and rows that went through the head."""

    tokens: int
    logits: int


@torch.inference_mode()
def step(backend: AnyBackend, trees: Sequence[Tree]) -> Cost:
    """One forward pass of `backend` for all `trees`, none of which is done.

    Those with the same adapter should be side by side.
    """
    tree_pass = backend.begin()
    wanted: list[int] = []
    asked: list[tuple[Branch, int]] = []
    drafts = _drafts(trees, backend.draft_rows)
    for tree in trees:
        trunk: Trunk | None = None
        if tree.cache is None:
            trunk = tree.trunk
            tree.cache = backend.cache(trunk, len(tree.branches))
        fed: list[Fed] = []
        places: list[tuple[Branch, list[int]]] = []
        for number, branch in enumerate(tree.branches):
            if not branch.done:
                tokens, wants = branch.plan(drafts)
                fed.append((number, branch.fed, tokens))
                places.append((branch, wants))
        rows = tree_pass.add(tree.cache, trunk, fed, tree.lora, tree.seen)
        before = len(wanted)
        for (branch, wants), row in zip(places, rows, strict=True):
            asked.append((branch, len(wanted)))
            wanted += [row + place for place in wants]
        tree.decoded.forward_passes += 1
        of_trunk = 0 if trunk is None else len(trunk)
        tree.decoded.tokens_computed += of_trunk + sum(len(tokens) for _, _, tokens in fed)
        tree.decoded.logits_computed += len(wanted) - before
    scores = tree_pass.run(wanted)
    for branch, first in asked:
        branch.take(scores, first)
    for tree in trees:
        for number, branch in enumerate(tree.branches):
            if branch.done:
                tree.cache.leave(number)
        if tree.done:
            tree.cache = None
            for branch in tree.branches:
                tree.decoded.answers |= branch.answers
    return Cost(len(tree_pass.ids), len(wanted))


def _drafts(trees: Sequence[Tree], limit: int) -> int:
    """How many tokens each branch may guess, so that the pass has about `limit` rows."""
    active = sum(not branch.done for tree in trees for branch in tree.branches)
    if active >= limit:
        return 0
    return min(MAX_DRAFT, max(0, limit - sum(tree.rows() for tree in trees)) // active)
