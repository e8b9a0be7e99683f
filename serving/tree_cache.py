"""Keys and values of trees, and one forward pass over tokens of many of them.

A tree's cache holds its trunk once and a row of slots for each branch. A token of a branch sees
the whole trunk and what came before it in its own branch: attention is computed over the two apart
(the trunk with all branches' queries side by side, the branches as a batch) and joined by the
weights of their softmaxes, so that no key is looked at which nobody may see. The same join is known
as cascade attention (Hydragen, arXiv:2402.05099; FlashInfer). Positions in a branch count on from
the trunk's end.

A slot that has been written can be written again: what a branch has fed beyond its accepted tokens
is simply overtaken, and is never seen meanwhile, because a token sees the slots before its own only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from serving.decoder import Decoder, Shape
from serving.lora import Lora, Segment

# Slots of a branch grow by this many at a time.
SLOT_STEP = 16

Fed = tuple[int, int, Sequence[int]]
"""Branch (from 0), slot of the first token, and the token ids that it feeds in a pass."""


class TreeCache:
    """Keys and values of one tree, of all layers."""

    def __init__(self, shape: Shape, trunk: int, branches: int) -> None:
        """`trunk` tokens, which the first pass has to feed, and `branches` branches, empty."""
        self.trunk = trunk
        self.branches = branches
        self.slots = 0
        self.filled = False
        kept = (shape.layers, 2, trunk, shape.kv_heads, shape.head_size)
        self._shape = shape
        self._trunk = torch.empty(kept, dtype=shape.dtype, device=shape.device)
        self._own = self._slots(0)

    def reserve(self, slots: int) -> None:
        """Have room for `slots` tokens in each branch."""
        if slots > self.slots:
            bigger = self._slots(slots + SLOT_STEP)
            bigger[:, :, :, : self.slots] = self._own
            self._own, self.slots = bigger, slots + SLOT_STEP

    def keep_trunk(self, layer: int, k: torch.Tensor, v: torch.Tensor) -> None:
        """Keep the trunk's (tokens, kv heads, size)."""
        self._trunk[layer, 0], self._trunk[layer, 1] = k, v

    def trunk_of(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The trunk's keys and values, each (1, kv heads, tokens, size)."""
        k, v = self._trunk[layer].transpose(1, 2)
        return k[None], v[None]

    def own_of(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The branches' keys and values, each (branches, slots, kv heads, size)."""
        return self._own[layer, 0], self._own[layer, 1]

    def _slots(self, slots: int) -> torch.Tensor:
        shape = self._shape
        size = (shape.layers, 2, self.branches, slots, shape.kv_heads, shape.head_size)
        # Slots that nobody may see are multiplied by zero, and zero times NaN would be NaN.
        return torch.zeros(size, dtype=shape.dtype, device=shape.device)


@dataclass
class TreePart:
    """The rows of one tree in a pass, and the index tensors that all layers share."""

    cache: TreeCache
    trunk: slice
    rows: slice  # of the branches' tokens
    written: torch.Tensor  # (n,) flat (branch, slot) of each branch token
    active: torch.Tensor | None  # (a,) the branches that feed; None where all do
    seen: int  # slots that any of them sees
    mask: torch.Tensor  # (a, 1, q, seen) 0 or -inf
    padded: torch.Tensor | None  # (a, q) row of each token; None where each branch feeds one
    unpadded: torch.Tensor | None  # (n,) flat (a, q) of each token

    def attend(
        self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mixed: torch.Tensor
    ) -> None:
        """Take the pass's q, k, v (rows, heads, size) and write this tree's rows of `mixed`."""
        scale = self.cache._shape.scale
        if self.trunk.stop > self.trunk.start:
            own = (q[self.trunk], k[self.trunk], v[self.trunk])
            self.cache.keep_trunk(layer, own[1], own[2])
            heads = [side.transpose(0, 1)[None] for side in own]
            mixed[self.trunk] = attention(*heads, scale, causal=True)[0][0].transpose(0, 1)
        if self.rows.stop > self.rows.start:
            self._attend_branches(layer, q[self.rows], k[self.rows], v[self.rows], mixed, scale)

    def _attend_branches(
        self,
        layer: int,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        mixed: torch.Tensor,
        scale: float,
    ) -> None:
        rows, heads, size = q.shape
        keys, values = self.cache.own_of(layer)
        for kept, new in ((keys, k), (values, v)):
            kept.view(-1, *new.shape[1:]).index_copy_(0, self.written, new)
        keys, values = keys[:, : self.seen], values[:, : self.seen]
        if self.active is not None:
            keys, values = keys.index_select(0, self.active), values.index_select(0, self.active)
        trunk, trunk_weight = attention(q.transpose(0, 1)[None], *self.cache.trunk_of(layer), scale)
        if self.padded is None:
            # One token a branch: the heads that share keys are its queries.
            asked = q.view(rows, keys.shape[2], -1, size)
        else:
            asked = q[self.padded].transpose(1, 2)
        own, own_weight = attention(
            asked, keys.transpose(1, 2), values.transpose(1, 2), scale, self.mask
        )
        if self.unpadded is None:
            own, own_weight = own.reshape(rows, heads, size), own_weight.reshape(rows, heads)
        else:
            own = own.transpose(1, 2).reshape(-1, heads, size)[self.unpadded]
            own_weight = own_weight.transpose(1, 2).reshape(-1, heads)[self.unpadded]
        share = torch.sigmoid(trunk_weight[0].t() - own_weight).to(q.dtype)
        torch.lerp(own, trunk[0].transpose(0, 1), share[..., None], out=mixed[self.rows])


class TreePass:
    """One forward pass over tokens of several trees. Add trees, then run it once."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._positions: list[int] = []
        self._parts: list[TreePart] = []
        self._segments: list[Segment] = []

    def add(
        self,
        cache: TreeCache,
        trunk: Sequence[int],
        fed: Sequence[Fed],
        lora: Lora | None = None,
    ) -> int:
        """Add tokens of one tree.

        Args:
            cache: the tree's.
            trunk: the trunk's token ids the first time, nothing later.
            fed: what its branches feed, in order of branch, each at most once and at least a token.
            lora: the adapter that its rows go through.

        Returns:
            The row of the first branch token; the others follow in the order given.
        """
        device = cache._shape.device
        start = len(self.ids)
        first = start + len(trunk)
        self.ids += trunk
        self._positions += range(len(trunk))
        counts = [len(ids) for _, _, ids in fed]
        ends = [slot + count for (_, slot, _), count in zip(fed, counts, strict=True)]
        cache.reserve(max(ends, default=0))
        written: list[int] = []
        for branch, slot, ids in fed:
            self.ids += ids
            self._positions += range(cache.trunk + slot, cache.trunk + slot + len(ids))
            base = branch * cache.slots + slot
            written += range(base, base + len(ids))
        most, seen = max(counts, default=0), max(ends, default=0)
        slots = torch.tensor([slot for _, slot, _ in fed], device=device)
        lasts = slots[:, None] + torch.arange(most, device=device)
        hidden = torch.arange(seen, device=device) > lasts[:, :, None]
        mask = torch.zeros(hidden.shape, dtype=cache._shape.dtype, device=device)
        mask = mask.masked_fill_(hidden, float("-inf"))[:, None]
        padded, unpadded = (None, None) if most <= 1 else _padding(counts, most, device)
        active = [branch for branch, _, _ in fed]
        every = len(active) == cache.branches
        self._parts.append(
            TreePart(
                cache=cache,
                trunk=slice(start, first),
                rows=slice(first, len(self.ids)),
                written=torch.tensor(written, device=device),
                active=None if every else torch.tensor(active, device=device),
                seen=seen,
                mask=mask,
                padded=padded,
                unpadded=unpadded,
            )
        )
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
        size = decoder.shape.heads * decoder.shape.head_size

        def attend(
            layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
        ) -> torch.Tensor:
            mixed = q.new_empty(q.shape)
            for part in self._parts:
                part.attend(layer, q, k, v, mixed)
            return mixed.view(-1, size)

        return decoder(
            torch.tensor(self.ids, device=device),
            torch.tensor(self._positions, device=device),
            attend,
            torch.tensor(wanted, dtype=torch.long, device=device),
            self._segments,
        )


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    scale: float,
    mask: torch.Tensor | None = None,
    causal: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax attention and the logarithm of its softmax's denominator.

    Args:
        q: (batch, heads, queries, size).
        k: (batch, kv heads, keys, size), kv heads a divisor of heads; `v` likewise.
        v: see `k`.
        scale: of the scores.
        mask: added to the scores, (batch, 1, queries or 1, keys), in q's number type.
        causal: query i sees keys up to i.

    Returns:
        (batch, heads, queries, size) in q's number type, and (batch, heads, queries) in fp32.
    """
    if q.device.type == "cpu":
        # What PyTorch's own scaled_dot_product_attention calls; that one keeps the denominator.
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, causal, attn_mask=mask, scale=scale
        )
    groups = q.shape[1] // k.shape[1]
    k, v = (side.repeat_interleave(groups, dim=1) for side in (k, v))
    scores = (q @ k.transpose(-1, -2)).float() * scale
    if causal:
        keys = torch.arange(k.shape[2], device=q.device)
        scores = scores.masked_fill(keys > keys[: q.shape[2], None], float("-inf"))
    if mask is not None:
        scores = scores + mask
    weight = scores.logsumexp(-1)
    return (scores - weight[..., None]).exp().to(q.dtype) @ v, weight


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
