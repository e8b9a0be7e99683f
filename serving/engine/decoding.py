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

from serving.engine.backend import Adapter, AnyBackend, Fed, Scores
from serving.engine.branch import Answer, Branch, History, Rules
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
    """One tree in the making.

    `unfinished` are the branches that are not done, each with its number; `rows` the tokens that
    its next pass computes, without drafts.
    """

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
        self.batches = len(tree.branches)
        self.seen = seen_in(tree.trunk, pictures)
        self.cache: Any = None  # the backend's, from the first pass on
        self.decoded = Decoded()
        history = History(tree.trunk.ids)
        branches = (Branch(segments, rules, history) for segments in tree.branches)
        self.unfinished = list(enumerate(branches))
        self.rows = len(tree.trunk) + self._branches_rows()

    @property
    def done(self) -> bool:
        """Whether all its questions are answered."""
        return not self.unfinished

    def go_on(self) -> None:
        """Take note of what its branches made of a pass."""
        for number, branch in self.unfinished:
            if branch.done:
                self.decoded.answers |= branch.answers
                self.cache.leave(number)
        self.unfinished = [numbered for numbered in self.unfinished if not numbered[1].done]
        self.rows = self._branches_rows()
        if self.done:
            self.cache = None

    def _branches_rows(self) -> int:
        return sum(branch.certain for _, branch in self.unfinished)


@dataclass(frozen=True)
class Cost:
    """What a pass computed: rows, and rows that went through the head."""

    tokens: int
    logits: int


@dataclass(frozen=True)
class Begun:
    """A pass of these trees, which may still be computed.

    `asked` are their branches, each with its first row of the scores.
    """

    trees: Sequence[Tree]
    asked: Sequence[tuple[Branch, int]]
    scores: Scores
    cost: Cost


def step(backend: AnyBackend, trees: Sequence[Tree]) -> Cost:
    """One forward pass of `backend` for all `trees`: see `begin`."""
    return end(begin(backend, trees))


@torch.inference_mode()
def begin(backend: AnyBackend, trees: Sequence[Tree]) -> Begun:
    """Begin a forward pass of `backend` for all `trees`, none of which is done or in a pass.

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
            tree.cache = backend.cache(trunk, tree.batches)
        fed: list[Fed] = []
        places: list[list[int]] = []
        for number, branch in tree.unfinished:
            tokens, wants = branch.plan(drafts)
            fed.append((number, branch.fed, tokens))
            places.append(wants)
        before = len(tree_pass.ids), len(wanted)
        rows = tree_pass.add(tree.cache, trunk, fed, tree.lora, tree.seen)
        for (_, branch), wants, row in zip(tree.unfinished, places, rows, strict=True):
            asked.append((branch, len(wanted)))
            wanted += [row + place for place in wants]
        tree.decoded.forward_passes += 1
        tree.decoded.tokens_computed += len(tree_pass.ids) - before[0]
        tree.decoded.logits_computed += len(wanted) - before[1]
    return Begun(trees, asked, tree_pass.run(wanted), Cost(len(tree_pass.ids), len(wanted)))


@torch.inference_mode()
def end(begun: Begun) -> Cost:
    """Have the trees take what came of a pass, once it is computed."""
    for branch, first in begun.asked:
        branch.take(begun.scores, first)
    for tree in begun.trees:
        tree.go_on()
    return begun.cost


def _drafts(trees: Sequence[Tree], limit: int) -> int:
    """How many tokens each branch may guess, so that the pass has about `limit` rows."""
    active = sum(len(tree.unfinished) for tree in trees)
    if active >= limit:
        return 0
    return min(MAX_DRAFT, max(0, limit - sum(tree.rows for tree in trees)) // active)
