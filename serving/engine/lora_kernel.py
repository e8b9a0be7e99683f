"""Adapters beside the base by grouped matrix products, for a GPU: two launches, however many.

`serving.engine.lora.add_lora` multiplies adapter by adapter, which on a GPU costs its launches:
with 32 adapters thousands a pass. Here a program has up to `ROWS` rows of one adapter and finds its
matrices by their addresses (as in SGMV of Punica, arXiv:2310.18547): first x A for all rows, then
y += (x A) B.

Never run on a GPU by its authors, like `serving.engine.tree_kernel`, and used under the same check.
"""

from collections.abc import Sequence

import numpy as np
import torch
import triton
import triton.language as tl

from serving.engine.lora import GROUPS, Beside, Segment
from serving.engine.shape import Shape

ROWS = 16
"""Of a program: the fewest that a matrix unit takes."""
INNER = 64
OUTER = 64
RANK = 2
"""The place of the rank in `Lora.addresses`."""


class GroupedLora:
    """The adapters of one pass, for all its layers and groups."""

    def __init__(self, segments: Sequence[Segment], layers: int, device: torch.device) -> None:
        """`segments` as `serving.engine.decoder.Decoder` is called with them; at least one."""
        blocks = [
            (start, min(start + ROWS, segment.stop), number)
            for number, segment in enumerate(segments)
            for start in range(segment.start, segment.stop, ROWS)
        ]
        self._blocks = torch.tensor(blocks, dtype=torch.int32).to(device)
        # (layers * groups, segments, 3): one copy a pass.
        found = np.zeros((layers * len(GROUPS), len(segments), 3), dtype=np.int64)
        for number, segment in enumerate(segments):
            own = segment.lora.addresses
            found[: len(own), number] = own
        self._pairs = torch.from_numpy(found).to(device)
        self._ranks = found[:, :, RANK].max(1).tolist()

    def add(self, y: torch.Tensor, x: torch.Tensor, layer: int, group: str) -> torch.Tensor:
        """`y` (rows, out), in place, with the adapters' share of x (rows, in) added."""
        place = layer * len(GROUPS) + list(GROUPS).index(group)
        rank = self._ranks[place]
        if not rank:
            return y
        x, (inner, outer) = x.contiguous(), (x.shape[1], y.shape[1])
        narrow = x.new_empty(len(x), rank)
        common = {
            "ROWS": ROWS,
            "RANK": max(16, triton.next_power_of_2(rank)),
            "PRECISION": "ieee" if x.dtype is torch.float32 else "tf32",
        }
        count, pairs = len(self._blocks), self._pairs[place]
        shrink[(count,)](x, narrow, self._blocks, pairs, inner, rank, INNER=INNER, **common)
        expand[(count, triton.cdiv(outer, OUTER))](
            narrow, y, self._blocks, pairs, outer, rank, y.stride(0), OUTER=OUTER, **common
        )
        return y


def beside(segments: Sequence[Segment], shape: Shape) -> Beside:
    """See `serving.engine.tree_cache.Besides`. An adapter alone has PyTorch's own products."""
    if len(segments) == 1:
        return segments
    return GroupedLora(segments, shape.layers, shape.device)


# Where a stretch of `pairs` begins is no reason to compile again.
@triton.jit(do_not_specialize=["pairs", "widest"])
def shrink(  # type: ignore[no-untyped-def]  # the compiler takes no types but constexpr
    x,  # (rows, inner)
    narrow,  # (rows, widest): x A
    blocks,  # (programs, 3): first row, the one after the last, number of the segment
    pairs,  # (segments, 3)
    inner,
    widest,
    ROWS: tl.constexpr,
    RANK: tl.constexpr,
    INNER: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """narrow = x A, for the rows of one block."""
    blocks += tl.program_id(0) * 3
    start, stop, segment = tl.load(blocks), tl.load(blocks + 1), tl.load(blocks + 2)
    a = tl.load(pairs + segment * 3).to(tl.pointer_type(x.dtype.element_ty))
    rank = tl.load(pairs + segment * 3 + 2)
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
        narrow + rows[:, None] * widest + r[None, :],
        summed.to(x.dtype.element_ty),
        mask=(rows < stop)[:, None] & (r < widest)[None, :],
    )


@triton.jit(do_not_specialize=["pairs", "widest"])
def expand(  # type: ignore[no-untyped-def]  # the compiler takes no types but constexpr
    narrow,  # (rows, widest)
    y,  # (rows, outer), rows so far apart
    blocks,
    pairs,
    outer,
    widest,
    apart,
    ROWS: tl.constexpr,
    RANK: tl.constexpr,
    OUTER: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """y += narrow B, for the rows of one block and some columns."""
    blocks += tl.program_id(0) * 3
    start, stop, segment = tl.load(blocks), tl.load(blocks + 1), tl.load(blocks + 2)
    b = tl.load(pairs + segment * 3 + 1).to(tl.pointer_type(y.dtype.element_ty))
    rank = tl.load(pairs + segment * 3 + 2)
    rows, r = start + tl.arange(0, ROWS), tl.arange(0, RANK)
    o = tl.program_id(1) * OUTER + tl.arange(0, OUTER)
    mine = (rows < stop)[:, None] & (o < outer)[None, :]
    some = tl.load(
        narrow + rows[:, None] * widest + r[None, :],
        mask=(rows < stop)[:, None] & (r < widest)[None, :],
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
