"""Attention of one pass over the branches of many trees.

All branches' queries of a tree meet the trunk's keys in one product, and each branch's meet its own
in another; both share one softmax, so that no key is looked at that nobody may see. The same
parting is known as shared-prefix attention (Hydragen, arXiv:2402.05099). Trees whose branches are
about as many, and feed about as many tokens, are padded to each other and computed as one group:
with few rows the number of operations costs more than what they compute.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from serving.engine.pages import NULL, PAGE, Pages

# Branches side by side feed at most this many times as many tokens as the shortest of them.
PADDING = 1.5
# So many rows cost about as much as the operations of a group do, whatever they compute.
FEW_ROWS = 96


@dataclass(frozen=True)
class Chunk:
    """Branches of one tree; the last four lists go together.

    A trunk in its first pass is a branch without a trunk.
    """

    tokens: int  # of the trunk
    trunk: Sequence[int]  # its pages
    branches: Sequence[Sequence[int]]  # the pages of each
    slots: Sequence[int]  # of the first token that each feeds
    counts: Sequence[int]  # tokens that each feeds
    rows: Sequence[int]  # of the first of them

    @property
    def most(self) -> int:
        """The most tokens that one of them feeds."""
        return max(self.counts)


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


def parted(chunk: Chunk) -> list[Chunk]:
    """`chunk` by branches that feed about as many tokens each."""
    return [
        replace(
            chunk,
            branches=[chunk.branches[place] for place in places],
            slots=[chunk.slots[place] for place in places],
            counts=[chunk.counts[place] for place in places],
            rows=[chunk.rows[place] for place in places],
        )
        for places in alike(chunk.counts)
    ]


def grouped(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """`chunks` in groups, so that no group has more than `FEW_ROWS` rows of padding."""
    groups: list[list[Chunk]] = []
    most = branches = needed = 0
    for chunk in sorted(chunks, key=lambda c: (c.most, len(c.branches)), reverse=True):
        rows = len(chunk.branches) * chunk.most
        branches = max(branches, len(chunk.branches))
        if groups and (len(groups[-1]) + 1) * branches * most <= needed + rows + FEW_ROWS:
            groups[-1].append(chunk)
            needed += rows
        else:
            groups.append([chunk])
            most, branches, needed = chunk.most, len(chunk.branches), rows
    return groups


class Attention:
    """The attention of one pass, for all its layers: see `serving.engine.decoder.Attend`."""

    def __init__(
        self,
        pages: Pages,
        page: Sequence[int],
        offset: Sequence[int],
        groups: Sequence[Sequence[Chunk]],
    ) -> None:
        """For a pass whose row i is kept at `offset[i]` of the page `page[i]`; each row is in one
        of the groups."""
        shape, device = pages.shape, pages.shape.device
        self._pages = pages
        self._places = pages.places(torch.tensor(page), torch.tensor(offset)).to(device)
        # Groups leave their results one after the other; `order` is where a row's heads are.
        order = torch.empty(len(page), shape.heads, dtype=torch.long)
        start = 0
        self._groups = [Group(pages, chunks) for chunks in groups]
        self._starts = []
        for group in self._groups:
            order[group.real_rows] = start + group.real
            self._starts.append(start)
            start += group.size
        self._order = order.flatten().to(device)
        self._results = start

    def __call__(self, layer: int, qkv: torch.Tensor) -> torch.Tensor:
        """Keep the keys and values of qkv (rows, heads + 2 * kv heads, size), and return the rows'
        results (rows, heads * size)."""
        shape = self._pages.shape
        size = shape.head_size
        self._pages.write(layer, self._places, qkv[:, shape.heads :].reshape(-1, size))
        results = qkv.new_empty(self._results, size)
        heads = qkv.view(-1, size)
        for start, group in zip(self._starts, self._groups, strict=True):
            group.attend(layer, heads, results[start : start + group.size])
        return results.index_select(0, self._order).view(len(qkv), -1)


class Group:
    """t trees of at most n branches each, which feed at most q tokens each: padded to t * n * q.

    A query has g heads for each kv head. Everything is laid out by tree, kv head, branch, token and
    head: one block for the trunk's keys of a kv head, and one for a branch's own.
    """

    def __init__(self, pages: Pages, chunks: Sequence[Chunk]) -> None:
        self._pages = pages
        branches = max(len(chunk.branches) for chunk in chunks)
        # Padding, of branches as of tokens, asks what the last real one asks; nobody reads it.
        rows, counts, slots = (
            padded([list(getattr(chunk, name)) for chunk in chunks], branches)[..., None]
            for name in ("rows", "counts", "slots")
        )
        place = torch.arange(max(chunk.most for chunk in chunks))
        token = torch.minimum(place, counts - 1)  # (t, n, q)
        there = torch.tensor([[[len(chunk.branches)]] for chunk in chunks])
        real = (place < counts) & (torch.arange(branches)[:, None] < there)
        self._ask(rows + token, real)
        self._look_at_trunk(chunks)
        self._look_at_own(chunks, slots + token)

    def _ask(self, row: torch.Tensor, real: torch.Tensor) -> None:
        """The queries: `row` (t, n, q) of the pass, and which of them are no padding."""
        shape = self._pages.shape
        per_kv = shape.heads // shape.kv_heads
        head = torch.arange(shape.heads).view(shape.kv_heads, 1, 1, per_kv)
        asked = row[:, None, ..., None] * (shape.heads + 2 * shape.kv_heads) + head
        self._asked = asked.flatten().to(shape.device)
        self.size = asked.numel()
        self.real_rows = row[real]
        """(rows,) The rows of the pass that are in it."""
        place = torch.arange(self.size).view(asked.shape).permute(0, 2, 3, 1, 4)
        self.real = place[real].view(-1, shape.heads)
        """(rows, heads) Where their results are."""

    def _look_at_trunk(self, chunks: Sequence[Chunk]) -> None:
        shape = self._pages.shape
        trunk = padded([list(chunk.trunk) for chunk in chunks], fill=NULL)
        tokens = torch.tensor([[chunk.tokens] for chunk in chunks])
        keys = trunk.shape[1] * PAGE
        mask = hidden(torch.arange(keys) >= tokens, shape.dtype)
        self._trunk_mask = mask.repeat_interleave(shape.kv_heads, 0)[:, None].to(shape.device)
        self._trunk_rows = [rows.to(shape.device) for rows in self._pages.rows(trunk[:, None])]
        self._trunk_shape = (len(chunks) * shape.kv_heads, keys, shape.head_size)

    def _look_at_own(self, chunks: Sequence[Chunk], slot: torch.Tensor) -> None:
        """The branches' own keys: a query sees those up to its own `slot` (t, n, q)."""
        shape = self._pages.shape
        trees, branches, _ = slot.shape
        count = max(len(held) for chunk in chunks for held in chunk.branches)
        # With the trunk's, whole vector registers of keys: see PAGE.
        count += (self._trunk_shape[1] // PAGE + count) % 2
        own = torch.full((trees, branches, count), NULL)
        for tree, chunk in enumerate(chunks):
            own[tree, : len(chunk.branches)] = padded(
                [list(held) for held in chunk.branches], count, NULL
            )
        keys = count * PAGE
        mask = hidden(torch.arange(keys) > slot[..., None], shape.dtype)  # (t, n, q, keys)
        per_kv = shape.heads // shape.kv_heads
        sizes = (trees, shape.kv_heads, *slot.shape[1:], per_kv, keys)
        self._own_shape = (trees * shape.kv_heads * branches, keys, shape.head_size)
        every = mask[:, None, :, :, None].expand(sizes)
        self._own_mask = every.reshape(self._own_shape[0], -1, keys).to(shape.device)
        self._own_rows = [rows.to(shape.device) for rows in self._pages.rows(own)]

    def attend(self, layer: int, heads: torch.Tensor, results: torch.Tensor) -> None:
        """Write the results, (size, head size), of the heads (rows * all heads, head size)."""
        scale = self._pages.shape.scale
        read = self._pages.read
        trunk_k, trunk_v = (read(layer, rows).view(self._trunk_shape) for rows in self._trunk_rows)
        own_k, own_v = (read(layer, rows).view(self._own_shape) for rows in self._own_rows)
        q = heads.index_select(0, self._asked)
        to_trunk = q.view(self._trunk_shape[0], -1, self._trunk_shape[2])
        to_own = q.view(self._own_shape[0], -1, self._own_shape[2])
        on_trunk = torch.baddbmm(self._trunk_mask, to_trunk, trunk_k.transpose(1, 2), alpha=scale)
        on_own = torch.baddbmm(self._own_mask, to_own, own_k.transpose(1, 2), alpha=scale)
        scores = torch.cat((on_trunk, on_own.view(*to_trunk.shape[:2], -1)), dim=-1)
        weights = scores.softmax(-1)
        of_trunk, of_own = weights.split((on_trunk.shape[-1], on_own.shape[-1]), dim=-1)
        from_trunk = torch.bmm(of_trunk, trunk_v)
        torch.baddbmm(
            from_trunk.view_as(to_own),
            of_own.reshape(*to_own.shape[:2], -1),
            own_v,
            out=results.view_as(to_own),
        )


def padded(lists: Sequence[list[int]], length: int = 0, fill: int | None = None) -> torch.Tensor:
    """`lists` as rows of the same length, padded by `fill`, or where that is None by their last."""
    length = max(length, *(len(one) for one in lists))
    return torch.tensor(
        [one + [one[-1] if fill is None else fill] * (length - len(one)) for one in lists],
        dtype=torch.long,
    )


def hidden(where: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to scores: -inf where `where`, else 0."""
    return torch.zeros(where.shape, dtype=dtype).masked_fill_(where, float("-inf"))
