"""Trees over the graph's blocks: which of them a branch reads, and what one pass computes.

A branch is a subsequence whose table is the trunk's full blocks, which all branches share, and then
its own. The first of its own begins with the trunk's last tokens where these do not fill a block: a
copy, made once for each branch as soon as the trunk is computed. So a pass computes new trunks and
older branches first, then copies, and then computes the branches of new trees. Rows of one adapter
are one inference: its matrices are inputs of the graph.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from weakref import finalize

import openvino as ov
import torch

from schemas.events import BASE_ADAPTER
from serving.engine.backend import Fed
from serving.engine.free_list import give_all
from serving.engine.openvino.blocks import Blocks
from serving.engine.openvino.graph import BLOCK
from serving.engine.scores import LogProbabilities
from serving.engine.seen import Seen
from serving.prompt import Position, Trunk


class BlockTree:
    """The blocks of one tree. They go back when nobody holds it any more."""

    def __init__(self, blocks: Blocks, trunk: Trunk, branches: int) -> None:
        """For `trunk`, which the first pass has to feed, and `branches`."""
        self.end = trunk.end
        self.full, self.tail = divmod(len(trunk), BLOCK)
        self.trunk = blocks.take(-(-len(trunk) // BLOCK))
        self.branches: list[list[int]] = [[] for _ in range(branches)]
        self._blocks = blocks
        finalize(self, give_all, blocks, self.trunk, self.branches)

    def past(self, slot: int) -> int:
        """The tokens that a branch's token in `slot` has before it."""
        return self.full * BLOCK + self.tail + slot

    def table(self, branch: int, slots: int) -> list[int]:
        """The blocks of a branch, with room for `slots` tokens of its own."""
        own = self.branches[branch]
        own += self._blocks.take(max(0, -(-(self.tail + slots) // BLOCK) - len(own)))
        return self.trunk[: self.full] + own

    def leave(self, branch: int) -> None:
        """See `serving.engine.backend.Cache`."""
        self._blocks.give(self.branches[branch])

    def copy_tail(self) -> None:
        """The trunk's last tokens, where they do not fill a block, into each branch's first."""
        if self.tail:
            to = [self.table(branch, 0)[self.full] for branch in range(len(self.branches))]
            self._blocks.copy(self.trunk[-1], self.tail, to)


@dataclass(frozen=True)
class BlockLora:
    """An adapter as inputs of the graph, by their names."""

    adapter_hash: str
    inputs: Mapping[str, ov.Tensor]


@dataclass
class Rows:
    """The rows of one inference.

    `sequences` are (tokens before, rows, blocks) of each stretch of rows; `seen` are the first row
    of a trunk and what pictures put into it; `numbers` are what the pass calls the rows `wanted`.
    """

    ids: list[int] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    sequences: list[tuple[int, int, list[int]]] = field(default_factory=list)
    seen: list[tuple[int, Seen]] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


class Infer(Protocol):
    """Computes rows."""

    def __call__(self, rows: Rows, lora: BlockLora | None, logits: torch.Tensor) -> None:
        """Leave the logits of `rows.wanted`, computed through `lora`, in (wanted, vocabulary)."""
        ...


class BlockPass:
    """See `serving.engine.backend.Pass`."""

    def __init__(
        self,
        blocks: Blocks,
        choose: Callable[[set[str]], Mapping[str, Infer]],
        logits: Callable[[int], torch.Tensor],
    ) -> None:
        """`choose` says what computes the rows of each adapter of a pass, by their hashes; `logits`
        gives memory for the logits of so many rows."""
        self.ids: list[int] = []
        self._choose = choose
        self._logits = logits
        self._new: list[BlockTree] = []
        # Trunks and older branches, and then the branches of new trees; by adapter.
        self._stages: tuple[Stage, Stage] = ({}, {})
        self._places: list[tuple[Rows, int]] = []

    def add(
        self,
        cache: BlockTree,
        trunk: Trunk | None,
        fed: Sequence[Fed],
        lora: BlockLora | None = None,
        seen: Seen | None = None,
    ) -> list[int]:
        """See `serving.engine.backend.Pass`."""
        if trunk is not None:
            rows = self._rows(0, lora)
            if seen is not None:
                rows.seen.append((len(rows.ids), seen))
            self._add(rows, trunk.ids, trunk.positions, 0, cache.trunk)
            self._new.append(cache)
        rows, first = self._rows(0 if trunk is None else 1, lora), []
        for branch, slot, ids in fed:
            first.append(len(self.ids))
            position = range(cache.end + slot, cache.end + slot + len(ids))
            self._add(rows, ids, position, cache.past(slot), cache.table(branch, slot + len(ids)))
        return first

    def run(self, wanted: Sequence[int]) -> "Scored":
        """See `serving.engine.backend.Pass`."""
        for number, row in enumerate(wanted):
            rows, place = self._places[row]
            rows.wanted.append(place)
            rows.numbers.append(number)
        chosen = self._choose({adapter for stage in self._stages for adapter in stage})
        logits = self._logits(len(wanted))
        order: list[int] = []  # what is computed first, and then
        for stage in self._stages:
            for adapter, (rows, lora) in stage.items():
                if rows.ids:
                    until = len(order) + len(rows.numbers)
                    chosen[adapter](rows, lora, logits[len(order) : until])
                    order += rows.numbers
            for tree in self._new:
                tree.copy_tail()
            self._new = []
        return Scored(logits, order)

    def _rows(self, stage: int, lora: BlockLora | None) -> Rows:
        adapter = BASE_ADAPTER if lora is None else lora.adapter_hash
        return self._stages[stage].setdefault(adapter, (Rows(), lora))[0]

    def _add(
        self,
        rows: Rows,
        ids: Sequence[int],
        positions: Sequence[Position],
        past: int,
        table: list[int],
    ) -> None:
        self.ids += ids
        first = len(rows.ids)
        self._places += [(rows, first + place) for place in range(len(ids))]
        rows.ids += ids
        rows.positions += positions
        rows.sequences.append((past, len(ids), table))


Stage = dict[str, tuple[Rows, BlockLora | None]]
"""Inferences by the hash of their adapter."""


class Scored(LogProbabilities):
    """Log probabilities of rows that were computed in another order than they are asked for."""

    def __init__(self, logits: torch.Tensor, order: Sequence[int]) -> None:
        """Row i of `logits` is row `order[i]` for whoever asks."""
        super().__init__(logits)
        self._places = [0] * len(order)
        for place, row in enumerate(order):
            self._places[row] = place

    @property
    def logits(self) -> torch.Tensor:
        """See `serving.engine.backend.Scores`."""
        return self._logits[self._places]

    def best(self, row: int) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        return super().best(self._places[row])

    def best_of(self, row: int, tokens: list[int]) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        return super().best_of(self._places[row], tokens)
