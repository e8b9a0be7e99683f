"""Greedy decoding of a prompt tree in one row: the trunk once, all branches side by side.

The first forward pass computes the trunk and every branch's first question. Each later pass feeds,
for each unfinished branch, its one new token, or, where an answer has ended, the canonical newline
and the whole next question. Keys and values of the row are kept once; the tree mask keeps branches
apart and positions count on from the trunk's end (`serving.tree`).

The reference that defines a branch (design.md, "Exact by rule"): for each attribute in order append
its question's ids, generate greedily to the stop set or the cap, append one canonical newline.

Confidence is the product of the unrenormalised probabilities of an answer's tokens, stop included.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Any, Protocol

import numpy as np
import torch
from transformers.cache_utils import Cache, DynamicLayer

from schemas.category import Attribute
from serving.errors import Cancelled
from serving.prompt import PromptTree, Segment, Vocabulary
from serving.tree import TRUNK, tree_mask

# The cache's buffers grow by at least this many tokens at a time.
CACHE_STEP = 256


class Matcher(Protocol):
    """Which tokens may come next in one answer."""

    def allow(self, row: np.ndarray) -> None:
        """Set True in `row` (vocabulary,), all False before, at each token allowed next."""
        ...

    def advance(self, token: int) -> None:
        """Take note that `token`, which is no stop token, was chosen."""
        ...


MatcherFactory = Callable[[Attribute], Matcher | None]
"""A fresh matcher for an answer; None leaves it free."""


@dataclass(frozen=True)
class Answer:
    """The answer to one question: its token ids without the stop, their text, its probability.

    `complete` is False where the cap ended it.
    """

    ids: tuple[int, ...]
    text: str
    confidence: float
    complete: bool


@dataclass
class Decoded:
    """All answers of a tree by attribute name, and what they cost."""

    answers: dict[str, Answer] = field(default_factory=dict)
    forward_passes: int = 0
    tokens_computed: int = 0


class GrowingLayer(DynamicLayer):
    """A cache layer that grows in place.

    The stock layer copies all keys and values at every pass, which on a small model costs as much
    as the pass.
    """

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append (1, heads, new, size) keys and values; all of them so far are returned."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.key_buffer = key_states.new_empty(*key_states.shape[:2], 0, key_states.shape[3])
            self.value_buffer = value_states.new_empty(
                *value_states.shape[:2], 0, value_states.shape[3]
            )
        old = self.get_seq_length()
        new = old + key_states.shape[2]
        if new > self.key_buffer.shape[2]:
            self.key_buffer = _grown(self.key_buffer, old, new)
            self.value_buffer = _grown(self.value_buffer, old, new)
        self.key_buffer[:, :, old:new] = key_states
        self.value_buffer[:, :, old:new] = value_states
        self.keys = self.key_buffer[:, :, :new]
        self.values = self.value_buffer[:, :, :new]
        return self.keys, self.values


class Branch:
    """One branch in the making."""

    def __init__(
        self,
        number: int,
        segments: Sequence[Segment],
        newline: int,
        cap: Callable[[Attribute], int],
        matchers: MatcherFactory | None,
    ) -> None:
        self.number = number
        self.position = 0  # of its next token, from the trunk's end
        self._segments = list(segments)
        self._newline = newline
        self._cap_of = cap
        self._matchers = matchers
        self._next = 0
        self.pending: list[int] = []  # tokens to feed in the next pass
        self._ask()

    @property
    def done(self) -> bool:
        """Whether all its questions are answered."""
        return self._next > len(self._segments)

    def take(self, token: int, log_probability: float, stops: frozenset[int]) -> bool:
        """Append a decoded token to the current answer; whether that ended it."""
        self.log_probability += log_probability
        self.complete = token in stops
        if not self.complete:
            self.ids.append(token)
            self.pending = [token]
            if self.matcher is not None:
                self.matcher.advance(token)
        return self.complete or len(self.ids) >= self._cap

    def answer(self, vocabulary: Vocabulary) -> Answer:
        """The answer that just ended."""
        text = vocabulary.decode(self.ids)
        return Answer(tuple(self.ids), text, exp(self.log_probability), self.complete)

    def next_question(self) -> None:
        """Close the answer with the canonical newline and ask what comes next, if anything."""
        # A token that the cap ended on has not been fed yet; a stop token never is.
        self.pending = [*(() if self.complete else self.ids[-1:]), self._newline]
        self._ask()

    def _ask(self) -> None:
        self._next += 1
        if self.done:
            self.pending = []
            return
        segment = self._segments[self._next - 1]
        self.attribute = segment.attribute
        self.pending += segment.ids
        self.ids: list[int] = []
        self.log_probability = 0.0
        self.complete = False
        self._cap = self._cap_of(segment.attribute)
        self.matcher = self._matchers(segment.attribute) if self._matchers else None


class Row:
    """The one row of a tree: its cache, and which branch each of its tokens belongs to."""

    def __init__(self, model: Any, trunk: Sequence[int]) -> None:
        self._model = model
        self._trunk = list(trunk)
        self._cache = Cache(layer_class_to_replicate=GrowingLayer)
        self._branch_of: list[int] = []

    def feed(self, branches: Sequence[Branch]) -> tuple[torch.Tensor, int]:
        """Compute the branches' pending tokens (and first the trunk's), in one forward pass.

        Returns:
            (branches, vocabulary) fp32 logits after each branch's last token, and the number of
            tokens computed.
        """
        start = len(self._trunk)
        ids = [] if self._branch_of else list(self._trunk)
        positions = list(range(len(ids)))
        self._branch_of += [TRUNK] * len(ids)
        last = []
        for branch in branches:
            count = len(branch.pending)
            ids += branch.pending
            first = start + branch.position
            positions += range(first, first + count)
            self._branch_of += [branch.number] * count
            branch.position += count
            last.append(len(ids) - 1)
        device = self._model.device
        output = self._model(
            input_ids=torch.tensor([ids], device=device),
            attention_mask=tree_mask(torch.tensor([self._branch_of], device=device), len(ids)),
            position_ids=torch.tensor([positions], device=device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=torch.tensor(last, device=device),
        )
        return output.logits[0].float(), len(ids)


@torch.inference_mode()
def decode_tree(
    model: Any,
    vocabulary: Vocabulary,
    tree: PromptTree,
    cap: Callable[[Attribute], int],
    matchers: MatcherFactory | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Decoded:
    """Answer every question of `tree` greedily.

    Args:
        model: a causal language model of transformers, sdpa or eager attention.
        vocabulary: its tokenizer's.
        tree: trunk and branches.
        cap: the most new tokens of an attribute's answer, stop included, at least 1.
        matchers: which tokens an attribute's answer may have; None for free decoding.
        cancelled: asked before each forward pass.

    Raises:
        Cancelled: `cancelled` said so.
    """
    branches = [
        Branch(number, segments, vocabulary.newline, cap, matchers)
        for number, segments in enumerate(tree.branches, start=1)
    ]
    row = Row(model, tree.trunk)
    decoded = Decoded()
    while branches:
        if cancelled is not None and cancelled():
            raise Cancelled("nobody waits for this answer any more")
        logits, computed = row.feed(branches)
        decoded.forward_passes += 1
        decoded.tokens_computed += computed
        for branch, (token, log_probability) in zip(
            branches, _choose(logits, branches, vocabulary), strict=True
        ):
            if branch.take(token, log_probability, vocabulary.stop_ids):
                decoded.answers[branch.attribute.name] = branch.answer(vocabulary)
                branch.next_question()
        branches = [branch for branch in branches if not branch.done]
    return decoded


def _choose(
    logits: torch.Tensor, branches: Sequence[Branch], vocabulary: Vocabulary
) -> list[tuple[int, float]]:
    """The best allowed token of each branch and its unrenormalised log probability."""
    total = logits.logsumexp(-1)
    if any(branch.matcher is not None for branch in branches):
        allowed = np.zeros(tuple(logits.shape), dtype=np.bool_)
        for branch, row in zip(branches, allowed, strict=True):
            if branch.matcher is None:
                row[:] = True
            else:
                branch.matcher.allow(row)
        # A grammar that allows nothing is stuck: the answer ends, and is judged as it stands.
        allowed[~allowed.any(axis=1), vocabulary.newline] = True
        mask = torch.from_numpy(allowed).to(logits.device)
        logits = logits.masked_fill(~mask, float("-inf"))
    best = logits.max(-1)
    return list(zip(best.indices.tolist(), (best.values - total).tolist(), strict=True))


def _grown(buffer: torch.Tensor, used: int, needed: int) -> torch.Tensor:
    capacity = needed + max(CACHE_STEP, needed // 2)
    bigger = buffer.new_empty(*buffer.shape[:2], capacity, buffer.shape[3])
    bigger[:, :, :used] = buffer[:, :, :used]
    return bigger
