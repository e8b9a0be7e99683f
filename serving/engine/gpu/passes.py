"""Passes by kernels of our own, launched one by one: see `serving.engine.tree_cache.Passes`."""

from collections.abc import Sequence

import torch

from serving.engine.backend import Scores
from serving.engine.decoder import Decoder
from serving.engine.gpu.adapters import AdapterTable, BesideAdapters
from serving.engine.gpu.attention import KernelAttention
from serving.engine.gpu.told import Needed, Told
from serving.engine.lora import Beside
from serving.engine.pages import Pages
from serving.engine.scores import scored
from serving.engine.seen import joined
from serving.engine.tree_cache import Rows
from serving.prompt import on_axes


class KernelPasses:
    """Passes of any size and with pictures."""

    def __init__(self, pages: Pages) -> None:
        """Over `pages`, of which one is kept for rows that only fill a room."""
        self.pages = pages
        self.device = pages.shape.device
        self.adapters = AdapterTable(pages.shape.layers, self.device)
        [self.nowhere] = pages.take(1)

    def needed(self, rows: Rows, wanted: Sequence[int]) -> Needed:
        """The numbers of a pass; its adapters are in the table then."""
        segments, slots = rows.segments, self.adapters.slots(rows.segments)
        return Needed(rows.ids, rows.pages, rows.offsets, rows.chunks, wanted, segments, slots)

    def __call__(self, decoder: Decoder, rows: Rows, wanted: Sequence[int]) -> Scores:
        """See `serving.engine.tree_cache.Passes`."""
        return self.launch(decoder, rows, self.needed(rows, wanted))

    def launch(self, decoder: Decoder, rows: Rows, needed: Needed) -> Scores:
        """Compute the pass of `rows`, whose numbers are `needed`."""
        told = Told(needed.room.rounded(), self.device)
        positions = [*rows.positions, *[0] * (told.room.rows - len(rows.positions))]
        told.tell(needed, [0] * len(rows.ids), self.nowhere)
        turns = decoder.turned(torch.tensor(on_axes(positions), device=self.device))
        x = self.hidden(decoder, told, turns, bool(rows.segments), rows)
        return scored(decoder.logits(x[told.wanted[: len(needed.wanted)]]))

    def hidden(
        self,
        decoder: Decoder,
        told: Told,
        turns: torch.Tensor,
        adapted: bool,
        rows: Rows | None = None,
    ) -> torch.Tensor:
        """What the pass that is told leaves before the head; pictures are those of `rows`."""
        beside: Beside = BesideAdapters(self.adapters, told.blocks) if adapted else ()
        seen = None if rows is None else joined(rows.seen, self.device)
        return decoder.hidden(told.ids, turns, KernelAttention(self.pages, told), beside, seen)
