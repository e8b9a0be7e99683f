"""Attention of a pass over pages in one kernel of Triton's language, for a GPU.

`serving.engine.tree_attention` pads trees to each other and calls some ten operations a group and
layer; on a GPU each of them costs its launch, whatever it computes. Here one launch a layer reads
the pages where they lie. A program has up to `QUERIES` tokens of one branch and all query heads of
a kv head, and goes through the trunk's pages and then the branch's own under one running softmax
(FlashAttention, arXiv:2205.14135). Each branch reads its trunk by itself, out of the GPU's cache.

Never run on a GPU by its authors: see `serving.engine.gpu.choice`. Triton's interpreter
(`TRITON_INTERPRET=1`) runs it on a CPU.
"""

import torch
import triton
import triton.language as tl

from serving.engine.gpu.told import PROGRAM, QUERIES, Told
from serving.engine.pages import PAGE, Pages

PAGES_AT_ONCE = 4


class KernelAttention:
    """The attention of one pass, for all its layers: see `serving.engine.decoder.Attend`."""

    def __init__(self, pages: Pages, told: Told) -> None:
        """For the pass that is told."""
        self._pages = pages
        self._places = pages.places(told.pages.long(), told.offsets.long())
        self._told = told

    def __call__(self, layer: int, qkv: torch.Tensor) -> torch.Tensor:
        """Keep the keys and values of qkv (rows, heads + 2 * kv heads, size), and return the rows'
        results (rows, heads * size); those of rows in no program are of no use."""
        shape, qkv, told = self._pages.shape, qkv.contiguous(), self._told
        size, per_kv = shape.head_size, shape.heads // shape.kv_heads
        self._pages.write(layer, self._places, qkv[:, shape.heads :].reshape(-1, size))
        results = qkv.new_empty(len(qkv), shape.heads * size)
        attend[(len(told.programs), shape.kv_heads)](
            qkv,
            self._pages.of_layer(layer),
            results,
            told.programs,
            told.table,
            shape.scale,
            KV_HEADS=shape.kv_heads,
            PER_KV=per_kv,
            PER_KV_PADDED=triton.next_power_of_2(per_kv),
            SIZE=size,
            SIZE_PADDED=max(16, triton.next_power_of_2(size)),
            TOLD=PROGRAM,
            QUERIES=QUERIES,
            PAGE=PAGE,
            PAGES_AT_ONCE=PAGES_AT_ONCE,
            # Not TF32, whose rounding would make fp32 no longer exact.
            PRECISION="ieee" if qkv.dtype is torch.float32 else "tf32",
        )
        return results


@triton.jit
def attend(  # type: ignore[no-untyped-def]  # the compiler takes no types but constexpr
    qkv,  # (rows, heads + 2 * kv heads, size), rotated
    cache,  # (pages, keys and values, kv heads, page, size) of a layer
    results,  # (rows, heads, size)
    told,  # (programs, TOLD)
    table,  # lists of pages, one after the other
    scale,
    KV_HEADS: tl.constexpr,
    PER_KV: tl.constexpr,
    PER_KV_PADDED: tl.constexpr,
    SIZE: tl.constexpr,
    SIZE_PADDED: tl.constexpr,
    TOLD: tl.constexpr,
    QUERIES: tl.constexpr,
    PAGE: tl.constexpr,
    PAGES_AT_ONCE: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """One program: up to `QUERIES` rows of a branch, and the query heads of one kv head."""
    program, kv = tl.program_id(0), tl.program_id(1)
    told += program * TOLD
    row, count, tokens = tl.load(told), tl.load(told + 1), tl.load(told + 2)
    trunk_pages, trunk_at, slot = tl.load(told + 3), tl.load(told + 4), tl.load(told + 5)
    held, own_at = trunk_pages + tl.load(told + 6), tl.load(told + 7)
    asked = tl.arange(0, QUERIES * PER_KV_PADDED)
    token, head = asked // PER_KV_PADDED, asked % PER_KV_PADDED
    d = tl.arange(0, SIZE_PADDED)
    real = ((token < count) & (head < PER_KV))[:, None] & (d < SIZE)[None, :]
    rows = (row + token).to(tl.int64)
    heads = kv * PER_KV + head
    width = (PER_KV + 2) * KV_HEADS
    q = tl.load(qkv + ((rows * width + heads) * SIZE)[:, None] + d[None, :], mask=real, other=0.0)
    best = tl.full([QUERIES * PER_KV_PADDED], float("-inf"), tl.float32)
    total = tl.zeros([QUERIES * PER_KV_PADDED], tl.float32)
    mixed = tl.zeros([QUERIES * PER_KV_PADDED, SIZE_PADDED], tl.float32)
    n = tl.arange(0, PAGES_AT_ONCE * PAGE)
    for first in range(0, held, PAGES_AT_ONCE):
        place, offset = first + n // PAGE, n % PAGE
        there = place < held
        listed = tl.where(place < trunk_pages, trunk_at + place, own_at + place - trunk_pages)
        page = tl.load(table + listed, mask=there, other=0).to(tl.int64)
        key = ((page * 2 * KV_HEADS + kv) * PAGE + offset) * SIZE
        readable = there[:, None] & (d < SIZE)[None, :]
        k = tl.load(cache + key[:, None] + d[None, :], mask=readable, other=0.0)
        v = tl.load(
            cache + (key + KV_HEADS * PAGE * SIZE)[:, None] + d[None, :], mask=readable, other=0.0
        )
        of_trunk = place < trunk_pages
        in_trunk = there & of_trunk & (place * PAGE + offset < tokens)
        own = (place - trunk_pages) * PAGE + offset
        in_own = (there & (place >= trunk_pages))[None, :] & (
            own[None, :] <= (slot + token)[:, None]
        )
        scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
        scores = tl.where(in_trunk[None, :] | in_own, scores, float("-inf"))
        # The first pages have a key for every row: the trunk's first token, or the row's own first.
        higher = tl.maximum(best, tl.max(scores, 1))
        weights = tl.exp(scores - higher[:, None])
        shrink = tl.exp(best - higher)
        total = total * shrink + tl.sum(weights, 1)
        mixed = mixed * shrink[:, None]
        mixed += tl.dot(weights.to(v.dtype), v, input_precision=PRECISION)
        best = higher
    # At least one, of the highest score; a program that fills a room has no rows and no total.
    mixed = mixed / tl.maximum(total, 1.0)[:, None]
    tl.store(
        results + ((rows * PER_KV * KV_HEADS + heads) * SIZE)[:, None] + d[None, :],
        mixed.to(q.dtype),
        mask=real,
    )
