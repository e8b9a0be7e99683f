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
from serving.engine.decoder import Attend, Decoder
from serving.engine.free_list import give_all
from serving.engine.lora import Beside, Lora, Segment
from serving.engine.pages import PAGE, Pages
from serving.engine.scores import scored
from serving.engine.seen import Seen, joined
from serving.engine.shape import Shape
from serving.engine.tree_attention import Attention, Chunk, alike, grouped
from serving.prompt import Position, Trunk, on_axes

TRUNK_ROWS = 256
"""A longer trunk is attended to in pieces: the scores of a piece, rows * keys, bound the memory."""

Choose = Callable[[set[str]], tuple[Decoder, bool]]
"""The decoder for a pass of trees with these adapters' hashes, and whether they are in its weights.
"""


Attending = Callable[[Pages, Sequence[tuple[int, int]], Sequence[Chunk]], Attend]
"""The attention of a pass whose row i is kept at a page and an offset, for these chunks."""

Besides = Callable[[Sequence[Segment], Shape], Beside]
"""The adapters of a pass as the decoder takes them, of a base of this shape."""


def attending(
    pages: Pages, written: Sequence[tuple[int, int]], chunks: Sequence[Chunk]
) -> Attention:
    """PyTorch's, which runs on every device."""
    return Attention(pages, written, grouped(chunks))


def beside(segments: Sequence[Segment], shape: Shape) -> Beside:
    """PyTorch's: one after the other."""
    return segments


@dataclass(frozen=True)
class Kernels:
    """What a pass attends and adds adapters by."""

    attending: Attending
    beside: Besides


PYTORCH = Kernels(attending, beside)


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

    def __init__(self, pages: Pages, choose: Choose, kernels: Kernels = PYTORCH) -> None:
        self.ids: list[int] = []
        self._pages = pages
        self._choose = choose
        self._kernels = kernels
        self._adapters: set[str] = set()
        self._positions: list[Position] = []
        self._written: list[tuple[int, int]] = []  # page, and offset in it, of each row
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
        for places in alike([len(ids) for _, _, ids in fed]):
            chosen = [fed[place] for place in places]
            self._chunks.append(
                Chunk(
                    tokens=cache.tokens,
                    trunk=cache.trunk,
                    branches=[cache.branches[branch] for branch, _, _ in chosen],
                    slots=[slot for _, slot, _ in chosen],
                    counts=[len(ids) for _, _, ids in chosen],
                    rows=[first[place] for place in places],
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
        self._written += [(pages[place // PAGE], place % PAGE) for place in places]

    def run(self, wanted: Sequence[int]) -> Scores:
        """See `serving.engine.backend.Pass`."""
        decoder, merged = self._choose(self._adapters)
        device = decoder.shape.device
        attention = self._kernels.attending(self._pages, self._written, self._chunks)
        lora: Beside = ()
        if self._segments and not merged:
            lora = self._kernels.beside(self._segments, decoder.shape)
        logits = decoder(
            torch.tensor(self.ids, device=device),
            torch.tensor(on_axes(self._positions), device=device),
            attention,
            torch.tensor(wanted, dtype=torch.long, device=device),
            lora,
            joined(self._seen, device),
        )
        return scored(logits)


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
