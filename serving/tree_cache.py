"""Keys and values of trees, and one forward pass over tokens of many of them.

A tree's cache holds its trunk once and a row of slots for each branch. A token of a branch sees
the whole trunk and what came before it in its own branch, and nothing else: its scores over the two
are computed apart (all branches' queries against the trunk; each branch's against its own slots)
and share one softmax, so that no key is looked at that nobody may see. The same parting is known as
shared-prefix attention (Hydragen, arXiv:2402.05099). Positions in a branch count on from the
trunk's end.

A slot can be written again and is then simply overtaken. What lies in later slots meanwhile is
never seen: a token sees the slots of its branch up to its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional

from serving.decoder import Decoder, Shape
from serving.lora import Lora, Segment

# Trunk and slots together are a multiple of this many keys: vector kernels like whole registers.
KEY_STEP = 32

# Branches side by side feed at most this many times as many tokens as the shortest of them.
PADDING = 1.5
# With so few, padding costs less than attention in several parts.
FEW_ROWS = 96

Fed = tuple[int, int, Sequence[int]]
"""Branch (from 0), slot of the first token, and the token ids that it feeds in a pass."""


class TreeCache:
    """Keys and values of one tree, of all layers.

    Of each layer the trunk's (2 * kv heads, tokens, size) and the branches'
    (2 * kv heads, branches, slots, size), keys before values.
    """

    def __init__(self, shape: Shape, trunk: int, branches: int) -> None:
        """For `trunk` tokens, at least one, which the first pass has to feed, and `branches`."""
        self.shape = shape
        self.tokens = trunk
        self.branches = branches
        self.slots = 0
        self.trunk = [self._empty(trunk) for _ in range(shape.layers)]
        self.own = [self._empty(branches, 0) for _ in range(shape.layers)]

    def reserve(self, slots: int) -> None:
        """Have room for `slots` tokens in each branch."""
        if slots <= self.slots:
            return
        # The longer they are the more room at a time, so that growing costs little in all.
        slots = max(slots, self.slots * 5 // 4)
        slots += -(self.tokens + slots) % KEY_STEP
        for layer, old in enumerate(self.own):
            # Slots that nobody may see have no weight, and no weight times NaN would be NaN.
            self.own[layer] = self._empty(self.branches, slots).zero_()
            self.own[layer][:, :, : self.slots] = old
        self.slots = slots

    def _empty(self, *places: int) -> torch.Tensor:
        shape = self.shape
        size = (2 * shape.kv_heads, *places, shape.head_size)
        return torch.empty(size, dtype=shape.dtype, device=shape.device)


@dataclass
class TrunkRows:
    """The rows of a tree's trunk, in its first pass."""

    cache: TreeCache
    rows: slice

    def attend(self, layer: int, qkv: torch.Tensor, mixed: torch.Tensor) -> None:
        """See `Rows`."""
        shape = self.cache.shape
        new = qkv[self.rows].transpose(0, 1)
        q, kv = new[None, : shape.heads], new[shape.heads :]
        self.cache.trunk[layer].copy_(kv)
        k, v = kv[None, : shape.kv_heads], kv[None, shape.kv_heads :]
        mixed[self.rows] = functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=shape.scale, enable_gqa=True
        )[0].transpose(0, 1)


@dataclass
class BranchRows:
    """The rows of branches of a tree that feed about as many tokens each.

    a branches feed at most q tokens each, n in all; a query has g heads for each kv head.
    """

    cache: TreeCache
    rows: slice
    written: torch.Tensor  # (n,) flat (branch, slot) of each token
    active: torch.Tensor | None  # (a,) the branches; None where they are all of the tree's
    mask: torch.Tensor  # (kv heads * a, q * g, slots) 0, or -inf for a slot not to be seen
    padded: torch.Tensor | None  # (a, q) row of each token; None where each branch feeds one
    unpadded: torch.Tensor | None  # (n,) flat (a, q) of each token

    def attend(self, layer: int, qkv: torch.Tensor, mixed: torch.Tensor) -> None:
        """See `Rows`."""
        self._attend(layer, qkv[self.rows], mixed[self.rows])

    def _attend(self, layer: int, qkv: torch.Tensor, mixed: torch.Tensor) -> None:
        shape, cache = self.cache.shape, self.cache
        heads, size = shape.kv_heads, shape.head_size
        trunk, own = cache.trunk[layer], cache.own[layer]
        own.view(2 * heads, -1, size).index_copy_(
            1, self.written, qkv[:, shape.heads :].transpose(0, 1)
        )
        if self.active is not None:
            own = own.index_select(1, self.active)
        own = own.flatten(0, 1)
        q = qkv[:, : shape.heads]
        q = q[:, None] if self.padded is None else q[self.padded]
        a, most = q.shape[:2]
        # Queries by kv head, branch, token and head: one block for the trunk's keys of a kv head,
        # and one for a branch's own.
        grouped = q.new_empty(heads, a, most, shape.heads // heads, size)
        torch.mul(q.view(a, most, heads, -1, size).permute(2, 0, 1, 3, 4), shape.scale, out=grouped)
        to_trunk, to_own = grouped.view(heads, -1, size), grouped.view(heads * a, -1, size)
        scores = torch.cat(
            (
                to_trunk @ trunk[:heads].transpose(1, 2),
                torch.baddbmm(self.mask, to_own, own[: heads * a].transpose(1, 2)).view(
                    heads, -1, cache.slots
                ),
            ),
            dim=-1,
        )
        weights = scores.softmax(-1)
        from_trunk = weights[..., : cache.tokens] @ trunk[heads:]
        own_weights = weights.view(heads * a, -1, scores.shape[-1])[..., cache.tokens :]
        summed = torch.baddbmm(from_trunk.view_as(to_own), own_weights, own[heads * a :])
        by_row = summed.view_as(grouped).permute(1, 2, 0, 3, 4)
        if self.unpadded is None:
            mixed.view(by_row.shape).copy_(by_row)
        else:
            flat = by_row.reshape(a * most, shape.heads, size)
            torch.index_select(flat, 0, self.unpadded, out=mixed)


class Rows(Protocol):
    """Some rows of a pass."""

    def attend(self, layer: int, qkv: torch.Tensor, mixed: torch.Tensor) -> None:
        """Take the pass's qkv (rows, heads + 2 * kv heads, size), keep the keys and values of these
        rows, and write their rows of `mixed` (rows, heads, size)."""
        ...


class TreePass:
    """One forward pass over tokens of several trees. Add trees, then run it once."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._positions: list[int] = []
        self._parts: list[Rows] = []
        self._segments: list[Segment] = []

    def add(
        self,
        cache: TreeCache,
        trunk: Sequence[int],
        fed: Sequence[Fed],
        lora: Lora | None = None,
    ) -> list[int]:
        """Add tokens of one tree.

        Args:
            cache: the tree's.
            trunk: the trunk's token ids the first time, nothing later.
            fed: what its branches feed, each at most once and at least a token.
            lora: the adapter that its rows go through.

        Returns:
            The row of each branch's first token; its others follow.
        """
        start = len(self.ids)
        if trunk:
            self.ids += trunk
            self._positions += range(len(trunk))
            self._parts.append(TrunkRows(cache, slice(start, len(self.ids))))
        cache.reserve(max((slot + len(ids) for _, slot, ids in fed), default=0))
        first = [0] * len(fed)
        for group in alike([len(ids) for _, _, ids in fed]):
            begin = len(self.ids)
            for number in group:
                _, slot, ids = fed[number]
                first[number] = len(self.ids)
                self.ids += ids
                self._positions += range(cache.tokens + slot, cache.tokens + slot + len(ids))
            rows = slice(begin, len(self.ids))
            self._parts.append(branch_rows(cache, rows, [fed[number] for number in group]))
        if lora is not None:
            last = self._segments[-1] if self._segments else None
            if last is not None and last.stop == start and last.lora is lora:
                self._segments[-1] = Segment(last.start, len(self.ids), lora)
            else:
                self._segments.append(Segment(start, len(self.ids), lora))
        return first

    def run(self, decoder: Decoder, wanted: Sequence[int]) -> torch.Tensor:
        """Compute the pass. Returns (wanted, vocabulary) logits after the rows `wanted`."""
        device = decoder.shape.device
        heads, size = decoder.shape.heads, decoder.shape.head_size

        def attend(layer: int, qkv: torch.Tensor) -> torch.Tensor:
            mixed = qkv.new_empty(len(qkv), heads, size)
            for part in self._parts:
                part.attend(layer, qkv, mixed)
            return mixed.view(-1, heads * size)

        return decoder(
            torch.tensor(self.ids, device=device),
            torch.tensor(self._positions, device=device),
            attend,
            torch.tensor(wanted, dtype=torch.long, device=device),
            self._segments,
        )


def alike(counts: Sequence[int]) -> list[list[int]]:
    """The places of `counts` in groups of about the same count, so that padding wastes little."""
    groups: list[list[int]] = []
    few = len(counts) * max(counts, default=0) <= FEW_ROWS
    least = 0
    for place in sorted(range(len(counts)), key=counts.__getitem__):
        # Single tokens, the common case, need no padding at all and stay among themselves.
        if not groups or (not few and counts[place] > (1 if least == 1 else least * PADDING)):
            groups.append([])
            least = counts[place]
        groups[-1].append(place)
    return groups


def branch_rows(cache: TreeCache, rows: slice, fed: Sequence[Fed]) -> BranchRows:
    """The rows of these branches, with what all layers need to know of them."""
    device = cache.shape.device
    counts = [len(ids) for _, _, ids in fed]
    active = [branch for branch, _, _ in fed]
    most = max(counts)
    padded, unpadded = (None, None) if most == 1 else _padding(counts, most, device)
    written = [
        branch * cache.slots + slot + place
        for branch, slot, ids in fed
        for place in range(len(ids))
    ]
    return BranchRows(
        cache=cache,
        rows=rows,
        written=torch.tensor(written, device=device),
        active=(
            None if active == list(range(cache.branches)) else torch.tensor(active, device=device)
        ),
        mask=_mask(cache, [slot for _, slot, _ in fed], most),
        padded=padded,
        unpadded=unpadded,
    )


def _mask(cache: TreeCache, slots: Sequence[int], most: int) -> torch.Tensor:
    """Which of a branch's slots its queries may not see: see `TreePart.mask`."""
    shape = cache.shape
    places = torch.arange(most, device=shape.device)
    asking = torch.tensor(slots, device=shape.device)[:, None] + places
    hidden = torch.arange(cache.slots, device=shape.device) > asking[..., None]
    mask = torch.zeros(hidden.shape, dtype=shape.dtype, device=shape.device)
    mask.masked_fill_(hidden, float("-inf"))
    groups = shape.heads // shape.kv_heads
    size = (shape.kv_heads, len(slots), most, groups, cache.slots)
    return mask[None, :, :, None].expand(size).reshape(-1, most * groups, cache.slots)


def _padding(
    counts: Sequence[int], most: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows padded to (branches, most), and the flat places of the real ones among them."""
    count = torch.tensor(counts, device=device)
    offsets = torch.arange(most, device=device)
    real = offsets < count[:, None]
    # A padding query asks as the last real one; nobody reads its answer.
    rows = (count.cumsum(0) - count)[:, None] + torch.minimum(offsets, count[:, None] - 1)
    return rows, real.flatten().nonzero()[:, 0]
