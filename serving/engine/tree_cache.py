"""One forward pass over tokens of many trees, and where each tree keeps its keys and values.

A token of a branch sees the whole trunk and what came before it in its own branch, and nothing
else: `serving.engine.tree_attention`. Positions in a branch count on from the trunk's end, which
pictures may move away from the number of its tokens.

A slot can be written again and is then simply overtaken. What lies in later slots meanwhile is
never seen: a token sees the slots of its branch up to its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from weakref import finalize

import torch

from schemas.events import BASE_ADAPTER
from serving.engine.backend import Fed, Scores
from serving.engine.decoder import Decoder
from serving.engine.free_list import give_all
from serving.engine.lora import Lora, Segment
from serving.engine.pages import PAGE, Pages
from serving.engine.scores import scored
from serving.engine.seen import Seen, joined
from serving.engine.tree_attention import Attention, Chunk, grouped, parted
from serving.prompt import Position, Trunk, on_axes

TRUNK_ROWS = 256
"""A longer trunk is attended to in pieces: the scores of a piece, rows * keys, bound the memory."""

Choose = Callable[[set[str]], tuple[Decoder, bool]]
"""The decoder for a pass of trees with these adapters' hashes, and whether they are in its weights.
"""


@dataclass(frozen=True)
class Rows:
    """The rows of a pass; the first four lists go together.

    Attributes:
        ids: the tokens.
        positions: theirs.
        pages, offsets: where their keys and values are kept.
        chunks: who attends to what; each row is in one.
        segments: the adapters of stretches of rows, but those in the decoder's weights.
        seen: the row where a trunk begins, and what that sees.
    """

    ids: Sequence[int]
    positions: Sequence[Position]
    pages: Sequence[int]
    offsets: Sequence[int]
    chunks: Sequence[Chunk]
    segments: Sequence[Segment]
    seen: Sequence[tuple[int, Seen]]


Passes = Callable[[Decoder, Rows, Sequence[int]], Scores]
"""Computes a pass of a decoder, for scores after the rows wanted."""


class PlainPasses:
    """Passes by PyTorch's operations, which run on every device."""

    def __init__(self, pages: Pages) -> None:
        """Over `pages`."""
        self._pages = pages

    def __call__(self, decoder: Decoder, rows: Rows, wanted: Sequence[int]) -> Scores:
        """See `Passes`."""
        device = decoder.shape.device
        chunks = [part for chunk in rows.chunks for part in parted(chunk)]
        logits = decoder(
            torch.tensor(rows.ids, device=device),
            torch.tensor(on_axes(rows.positions), device=device),
            Attention(self._pages, rows.pages, rows.offsets, grouped(chunks)),
            torch.tensor(wanted, dtype=torch.long, device=device),
            rows.segments,
            joined(rows.seen, device),
        )
        return scored(logits)


class TreeCache:
    """The pages of one tree. They go back when nobody holds the cache any more."""

    def __init__(self, pages: Pages, trunk: Trunk, branches: int) -> None:
        """For `trunk`, which the first pass has to feed, and `branches`."""
        self.tokens = len(trunk)
        self.end = trunk.end
        self.trunk = pages.take(-(-len(trunk) // PAGE))
        self.branches: list[list[int]] = [[] for _ in range(branches)]
        self._pages = pages
        finalize(self, give_all, pages, self.trunk, self.branches)

    def reserve(self, branch: int, slots: int) -> None:
        """Have room for `slots` tokens in a branch."""
        own = self.branches[branch]
        own += self._pages.take(max(0, -(-slots // PAGE) - len(own)))

    def leave(self, branch: int) -> None:
        """See `serving.engine.backend.Cache`."""
        self._pages.give(self.branches[branch])


class TreePass:
    """See `serving.engine.backend.Pass`."""

    def __init__(self, choose: Choose, passes: Passes) -> None:
        self.ids: list[int] = []
        self._choose = choose
        self._passes = passes
        self._adapters: set[str] = set()
        self._positions: list[Position] = []
        self._pages: list[int] = []
        self._offsets: list[int] = []
        self._chunks: list[Chunk] = []
        self._segments: list[Segment] = []
        self._seen: list[tuple[int, Seen]] = []

    def add(
        self,
        cache: TreeCache,
        trunk: Trunk | None,
        fed: Sequence[Fed],
        lora: Lora | None = None,
        seen: Seen | None = None,
    ) -> list[int]:
        """See `serving.engine.backend.Pass`.

        Trees with the same adapter side by side need one product for it.
        """
        start = len(self.ids)
        self._adapters.add(BASE_ADAPTER if lora is None else lora.adapter_hash)
        if trunk is not None:
            self._add(trunk.ids, trunk.positions, cache.trunk, 0)
            if seen is not None:
                self._seen.append((start, seen))
            self._chunks += trunk_chunks(cache.trunk, len(trunk), start)
        first = []
        for branch, slot, ids in fed:
            cache.reserve(branch, slot + len(ids))
            first.append(len(self.ids))
            position = cache.end + slot
            self._add(ids, range(position, position + len(ids)), cache.branches[branch], slot)
        self._chunks.append(
            Chunk(
                tokens=cache.tokens,
                trunk=cache.trunk,
                branches=[cache.branches[branch] for branch, _, _ in fed],
                slots=[slot for _, slot, _ in fed],
                counts=[len(ids) for _, _, ids in fed],
                rows=first,
            )
        )
        if lora is not None:
            last = self._segments[-1] if self._segments else None
            if last is not None and last.stop == start and last.lora is lora:
                self._segments[-1] = Segment(last.start, len(self.ids), lora)
            else:
                self._segments.append(Segment(start, len(self.ids), lora))
        return first

    def _add(
        self, ids: Sequence[int], positions: Iterable[Position], pages: list[int], slot: int
    ) -> None:
        self.ids += ids
        self._positions += positions
        places = range(slot, slot + len(ids))
        self._pages += [pages[place // PAGE] for place in places]
        self._offsets += [place % PAGE for place in places]

    def run(self, wanted: Sequence[int]) -> Scores:
        """See `serving.engine.backend.Pass`."""
        decoder, merged = self._choose(self._adapters)
        rows = Rows(
            self.ids,
            self._positions,
            self._pages,
            self._offsets,
            self._chunks,
            () if merged else self._segments,
            self._seen,
        )
        return self._passes(decoder, rows, wanted)


def trunk_chunks(pages: list[int], tokens: int, row: int) -> list[Chunk]:
    """A trunk of `tokens` from `row` on, in pieces: so many rows see only what is before them."""
    return [
        Chunk(
            tokens=0,
            trunk=(),
            branches=[pages[: -(-min(start + TRUNK_ROWS, tokens) // PAGE)]],
            slots=[start],
            counts=[min(TRUNK_ROWS, tokens - start)],
            rows=[row + start],
        )
        for start in range(0, tokens, TRUNK_ROWS)
    ]
