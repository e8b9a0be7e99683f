"""Adapters beside the base by grouped matrix products, for a GPU: two launches, however many.

`serving.engine.lora.add_lora` multiplies adapter by adapter, which on a GPU costs its launches:
with 32 adapters thousands a pass. Here a program has up to `BLOCK_ROWS` rows of one adapter and
finds its matrices by their addresses (as in SGMV of Punica, arXiv:2310.18547): first x A for all
rows, then y += (x A) B.

Never run on a GPU by its authors: see `serving.engine.gpu.choice`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import ReferenceType, ref

import numpy as np
import torch
import triton
import triton.language as tl

from serving.engine.gpu.told import BLOCK_ROWS
from serving.engine.lora import GROUPS, Lora, Segment

INNER = 64
OUTER = 64
FIRST_SLOTS = 64
RANK = 2
"""The place of the rank in `Lora.addresses`."""


@dataclass(frozen=True)
class Reach:
    """How far an adapter table goes; a recorded pass holds for one reach only.

    Attributes:
        slots: adapters that it has room for.
        ranks: the widest of each group, as a power of two that a matrix unit takes; 0 for none.
    """

    slots: int
    ranks: tuple[int, ...]


class AdapterTable:
    """Where the matrices of adapters lie in memory, on the device.

    An adapter keeps its slot as long as somebody holds it, so passes seldom have to tell anything.
    """

    def __init__(self, layers: int, device: torch.device, slots: int = FIRST_SLOTS) -> None:
        """For a base of so many layers; more slots as they are taken."""
        self._places = layers * len(GROUPS)
        self.pairs = torch.zeros(self._places, slots, 3, dtype=torch.int64, device=device)
        """(layers * groups, slots, 3) The addresses of A and B, and the rank."""
        self.reach = Reach(slots, (0,) * len(GROUPS))
        self._free = list(range(slots))
        self._taken: dict[str, tuple[int, ReferenceType[Lora]]] = {}

    def slots(self, segments: Sequence[Segment]) -> list[int]:
        """The slot of each segment's adapter."""
        return [self._slot(segment.lora) for segment in segments]

    def _slot(self, lora: Lora) -> int:
        slot, known = self._taken.get(lora.adapter_hash, (None, None))
        if slot is None or known is None or known() is not lora:
            slot = self._take() if slot is None else slot
            self._taken[lora.adapter_hash] = slot, ref(lora)
            self._learn(slot, lora)
        return slot

    def _take(self) -> int:
        if not self._free:
            gone = [name for name, (_, held) in self._taken.items() if held() is None]
            self._free = [self._taken.pop(name)[0] for name in gone]
        if not self._free:
            slots = self.reach.slots
            self.pairs = torch.cat([self.pairs, torch.zeros_like(self.pairs)], 1)
            self.reach = Reach(2 * slots, self.reach.ranks)
            self._free = list(range(slots, 2 * slots))
        return self._free.pop()

    def _learn(self, slot: int, lora: Lora) -> None:
        found = np.zeros((self._places, 3), dtype=np.int64)
        found[: len(lora.addresses)] = lora.addresses
        self.pairs[:, slot] = torch.from_numpy(found).to(self.pairs.device)
        own = found[:, RANK].reshape(-1, len(GROUPS)).max(0).tolist()
        ranks = tuple(map(max, self.reach.ranks, map(padded, own)))
        self.reach = Reach(self.reach.slots, ranks)


def padded(rank: int) -> int:
    """The rank that the kernels are compiled for."""
    return max(16, triton.next_power_of_2(rank)) if rank else 0


class BesideAdapters:
    """The adapters of one pass, for all its layers and groups: `serving.engine.lora.Grouped`."""

    def __init__(self, table: AdapterTable, blocks: torch.Tensor) -> None:
        """`blocks` (programs, 3): a block's first row, the one after its last, and a slot."""
        self._pairs, self._ranks, self._blocks = table.pairs, table.reach.ranks, blocks

    def add(self, y: torch.Tensor, x: torch.Tensor, layer: int, group: str) -> torch.Tensor:
        """`y` (rows, out), in place, with the adapters' share of x (rows, in) added."""
        number = list(GROUPS).index(group)
        rank = self._ranks[number]
        if not rank:
            return y
        x, (inner, outer) = x.contiguous(), (x.shape[1], y.shape[1])
        narrow = x.new_empty(len(x), rank)
        common = {
            "ROWS": BLOCK_ROWS,
            "RANK": rank,
            "PRECISION": "ieee" if x.dtype is torch.float32 else "tf32",
        }
        count, pairs = len(self._blocks), self._pairs[layer * len(GROUPS) + number]
        shrink[(count,)](x, narrow, self._blocks, pairs, inner, INNER=INNER, **common)
        expand[(count, triton.cdiv(outer, OUTER))](
            narrow, y, self._blocks, pairs, outer, y.stride(0), OUTER=OUTER, **common
        )
        return y


# Where a stretch of `pairs` begins is no reason to compile again.
@triton.jit(do_not_specialize=["pairs"])
def shrink(  # type: ignore[no-untyped-def]  # the compiler takes no types but constexpr
    x,  # (rows, inner)
    narrow,  # (rows, RANK): x A
    blocks,  # (programs, 3): first row, the one after the last, slot
    pairs,  # (slots, 3)
    inner,
    ROWS: tl.constexpr,
    RANK: tl.constexpr,
    INNER: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """narrow = x A, for the rows of one block."""
    blocks += tl.program_id(0) * 3
    start, stop, slot = tl.load(blocks), tl.load(blocks + 1), tl.load(blocks + 2)
    a = tl.load(pairs + slot * 3).to(tl.pointer_type(x.dtype.element_ty))
    # An empty block, which is only there to fill a room, has nobody's matrices.
    rank = tl.where(start < stop, tl.load(pairs + slot * 3 + 2), 0)
    rows, r, n = start + tl.arange(0, ROWS), tl.arange(0, RANK), tl.arange(0, INNER)
    summed = tl.zeros([ROWS, RANK], tl.float32)
    for first in range(0, inner, INNER):
        i = first + n
        there = i < inner
        some = tl.load(
            x + rows[:, None] * inner + i[None, :],
            mask=(rows < stop)[:, None] & there[None, :],
            other=0.0,
        )
        part = tl.load(
            a + i[:, None] * rank + r[None, :],
            mask=there[:, None] & (r < rank)[None, :],
            other=0.0,
        )
        summed += tl.dot(some, part, input_precision=PRECISION)
    # Beyond an adapter's own rank there are zeros.
    tl.store(
        narrow + rows[:, None] * RANK + r[None, :],
        summed.to(x.dtype.element_ty),
        mask=(rows < stop)[:, None],
    )


@triton.jit(do_not_specialize=["pairs"])
def expand(  # type: ignore[no-untyped-def]  # the compiler takes no types but constexpr
    narrow,  # (rows, RANK)
    y,  # (rows, outer), rows so far apart
    blocks,
    pairs,
    outer,
    apart,
    ROWS: tl.constexpr,
    RANK: tl.constexpr,
    OUTER: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """y += narrow B, for the rows of one block and some columns."""
    blocks += tl.program_id(0) * 3
    start, stop, slot = tl.load(blocks), tl.load(blocks + 1), tl.load(blocks + 2)
    b = tl.load(pairs + slot * 3 + 1).to(tl.pointer_type(y.dtype.element_ty))
    rank = tl.where(start < stop, tl.load(pairs + slot * 3 + 2), 0)
    rows, r = start + tl.arange(0, ROWS), tl.arange(0, RANK)
    o = tl.program_id(1) * OUTER + tl.arange(0, OUTER)
    mine = (rows < stop)[:, None] & (o < outer)[None, :]
    some = tl.load(
        narrow + rows[:, None] * RANK + r[None, :],
        mask=(rows < stop)[:, None],
        other=0.0,
    )
    part = tl.load(
        b + r[:, None] * outer + o[None, :],
        mask=(r < rank)[:, None] & (o < outer)[None, :],
        other=0.0,
    )
    places = y + rows[:, None] * apart + o[None, :]
    added = tl.dot(some, part, input_precision=PRECISION)
    before = tl.load(places, mask=mine, other=0.0)
    tl.store(places, (before + added).to(y.dtype.element_ty), mask=mine)
