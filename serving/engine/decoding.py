"""Greedy decoding of many prompt trees side by side.

A tree enters at any pass and leaves with the pass that answers its last question; nobody waits for
the slowest (continuous batching, as in Orca, OSDI 2022). A tree's first pass feeds its trunk and
every branch's first question, each later one what its unfinished branches have next
(`serving.engine.branch`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from schemas.events import BASE_ADAPTER
from serving.engine.branch import Answer, Branch, Rules
from serving.engine.decoder import Decoder
from serving.engine.eyes.features import Features, seen_in
from serving.engine.lora import Lora
from serving.engine.pages import Pages
from serving.engine.tree_cache import Fed, TreeCache, TreePass
from serving.prompt import PromptTree, Trunk

# A pass of few rows costs as much as one of this many: the weights have to come from memory anyway.
DRAFT_ROWS = {"cpu": 24, "cuda": 256}
MAX_DRAFT = 6
# A vocabulary is long: more rows of logits at once would leave a CPU's caches.
LOGIT_ROWS = 32


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
        lora: Lora | None = None,
        pictures: Sequence[Features] = (),
    ) -> None:
        """`pictures` are those of the trunk in its order, their rows embeddings by now."""
        self.lora = lora
        self.trunk = tree.trunk
        self.branches = [Branch(segments, rules, tree.trunk.ids) for segments in tree.branches]
        self.seen = seen_in(tree.trunk, pictures)
        self.cache: TreeCache | None = None
        self.decoded = Decoded()

    @property
    def adapter(self) -> str:
        """The hash of the adapter that it goes through, or `base`."""
        return self.lora.adapter_hash if self.lora else BASE_ADAPTER

    @property
    def done(self) -> bool:
        """Whether all its questions are answered."""
        return all(branch.done for branch in self.branches)

    def rows(self) -> int:
        """Tokens that its next pass computes."""
        trunk = 0 if self.cache else len(self.trunk)
        return trunk + sum(len(branch.plan()[0]) for branch in self.branches if not branch.done)


@dataclass(frozen=True)
class Cost:
    """What a pass computed: rows, and rows that went through the head."""

    tokens: int
    logits: int


@torch.inference_mode()
def step(decoder: Decoder, pages: Pages, trees: Sequence[Tree], merged: bool = False) -> Cost:
    """One forward pass for all `trees`, none of which is done.

    Args:
        decoder: the model; a tree with an adapter goes through that as well.
        pages: where the trees keep their keys and values.
        trees: those with the same adapter side by side need one product for it.
        merged: the decoder has the adapter of all trees in its weights.
    """
    tree_pass = TreePass(pages)
    wanted: list[int] = []
    asked: list[tuple[Branch, int]] = []
    drafts = _drafts(trees, DRAFT_ROWS.get(decoder.shape.device.type, 0))
    for tree in trees:
        trunk: Trunk | None = None
        if tree.cache is None:
            trunk = tree.trunk
            tree.cache = TreeCache(pages, trunk, len(tree.branches))
        fed: list[Fed] = []
        places: list[tuple[Branch, list[int]]] = []
        for number, branch in enumerate(tree.branches):
            if not branch.done:
                tokens, wants = branch.plan(drafts)
                fed.append((number, branch.fed, tokens))
                places.append((branch, wants))
        lora = None if merged else tree.lora
        rows = tree_pass.add(tree.cache, trunk, fed, lora, tree.seen)
        before = len(wanted)
        for (branch, wants), row in zip(places, rows, strict=True):
            asked.append((branch, len(wanted)))
            wanted += [row + place for place in wants]
        tree.decoded.forward_passes += 1
        of_trunk = 0 if trunk is None else len(trunk)
        tree.decoded.tokens_computed += of_trunk + sum(len(tokens) for _, _, tokens in fed)
        tree.decoded.logits_computed += len(wanted) - before
    scores = LogProbabilities(tree_pass.run(decoder, wanted))
    for branch, first in asked:
        branch.take(scores, first)
    for tree in trees:
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


class LogProbabilities:
    """The log probabilities of a pass: `serving.engine.branch.LogProbabilities`."""

    def __init__(self, logits: torch.Tensor) -> None:
        """`logits` (rows, vocabulary)."""
        self._logits = logits
        self._best: list[int] = []
        self._values: list[float] = []
        self._totals: list[float] = []  # what a logit less is its log probability
        for scores in (part.float() for part in logits.split(LOGIT_ROWS)):
            if scores.device.type == "cpu":
                # NumPy's argmax is some ten times faster than PyTorch's on a CPU.
                best = torch.from_numpy(scores.numpy().argmax(-1))
            else:
                best = scores.argmax(-1)
            top = scores.gather(1, best[:, None])
            # In place, where the logits are fp32 and so are these scores, would spoil them.
            spread = (scores - top).exp_().sum(-1).log_()
            self._best += best.tolist()
            self._values += (-spread).tolist()
            self._totals += (top[:, 0] + spread).tolist()

    def best(self, row: int) -> tuple[int, float]:
        """See `serving.engine.branch.LogProbabilities`."""
        return self._best[row], self._values[row]

    def best_of(self, row: int, tokens: list[int]) -> tuple[int, float]:
        """See `serving.engine.branch.LogProbabilities`."""
        scores = self._logits[row].float().cpu().numpy()[tokens]
        best = int(scores.argmax())
        return tokens[best], float(scores[best]) - self._totals[row]
