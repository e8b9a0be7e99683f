"""What the kernels are told of a pass: one array of whole numbers, and so one copy to the device.

Its parts lie at places that depend on nothing but how much there is room for. So a pass that was
recorded (`serving.engine.gpu.graphs`) reads the next one's numbers where it read its own; what is
more room than the pass needs is filled with rows that nobody attends to.
"""

from array import array
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from operator import ge

import numpy as np
import torch

from serving.engine.lora import Segment
from serving.engine.pages import PAGE
from serving.engine.tree_attention import Chunk

QUERIES = 16
"""Rows of a program of attention: with the query heads of a kv head at least the 16 rows of a
matrix unit."""

BLOCK_ROWS = 16
"""Rows of a program of an adapter: the fewest that a matrix unit takes."""

PROGRAM, BLOCK = 8, 3
"""Numbers of each: `programs`, `blocks`."""

ALIGNED = 16
"""Parts of another alignment would be another kernel to compile."""


@dataclass(frozen=True)
class Room:
    """How much a pass has, or has room for: rows, programs of attention, blocks of adapters, and
    entries of lists of pages."""

    rows: int
    programs: int
    blocks: int
    pages: int

    def rounded(self) -> "Room":
        """The next aligned room."""
        return Room(*(-(-count // ALIGNED) * ALIGNED for count in astuple(self)))

    def holds(self, other: "Room") -> bool:
        """Whether there is room for all of `other`."""
        return all(map(ge, astuple(self), astuple(other)))


class Needed:
    """The numbers of a pass, on the host."""

    def __init__(
        self,
        ids: Sequence[int],
        pages: Sequence[int],
        offsets: Sequence[int],
        chunks: Sequence[Chunk],
        wanted: Sequence[int] = (),
        segments: Sequence[Segment] = (),
        slots: Sequence[int] = (),
    ) -> None:
        """Row i is the token `ids[i]`, kept at `offsets[i]` of `pages[i]`; each row is in one of
        the chunks, and scores are asked for after those `wanted`. The adapters of `segments` are in
        the table's `slots`."""
        self.ids, self.pages, self.offsets, self.wanted = ids, pages, offsets, wanted
        self.programs, self.table = programs(chunks)
        self.blocks = blocks(segments, slots)
        self.room = Room(
            len(ids), len(self.programs) // PROGRAM, len(self.blocks) // BLOCK, len(self.table)
        )


class Told:
    """The array on the device, and its parts."""

    def __init__(self, room: Room, device: torch.device) -> None:
        self.room = room
        rows, (of_programs, of_blocks) = room.rows, (PROGRAM * room.programs, BLOCK * room.blocks)
        sizes = [rows, rows, rows, rows, rows, of_programs, of_blocks, room.pages]
        pinned = device.type == "cuda"  # from where a device copies by itself
        self._host = torch.zeros(sum(sizes), dtype=torch.int32, pin_memory=pinned)
        self._there = torch.zeros(sum(sizes), dtype=torch.int32, device=device)
        self._parts = [part.numpy() for part in self._host.split(sizes)]
        ids, positions, pages, offsets, wanted, told, block, table = self._there.split(sizes)
        self.ids, self.positions, self.pages, self.offsets = ids, positions, pages, offsets
        self.wanted = wanted
        """Each (rows,), of which fewer may be wanted."""
        self.programs = told.view(-1, PROGRAM)
        self.blocks = block.view(-1, BLOCK)
        self.table = table

    def tell(self, needed: Needed, positions: Sequence[int], nowhere: int) -> None:
        """Copy what is `needed` over; rows of no use are kept at the page `nowhere`."""
        given: tuple[Sequence[int] | np.ndarray, ...] = (
            needed.ids, positions, needed.pages, needed.offsets, needed.wanted,
            needed.programs, needed.blocks, needed.table,
        )  # fmt: skip
        filled = (0, 0, nowhere, 0, 0, 0, 0, None)
        for part, numbers, rest in zip(self._parts, given, filled, strict=True):
            part[: len(numbers)] = numbers
            if rest is not None:
                part[len(numbers) :] = rest
        # The table is last, since of its room the least is needed.
        used = len(self._host) - self.room.pages + len(needed.table)
        self._there[:used].copy_(self._host[:used], non_blocking=True)


def programs(chunks: Sequence[Chunk]) -> tuple[np.ndarray, np.ndarray]:
    """What each program of attention is told, and the pages that it reads, both flat.

    Told are its first row and its rows; the tokens of its trunk, how many pages they are and where
    in the list these begin; the slot of its first row in the branch; and how many pages of its own
    it reads, and where they begin.
    """
    told, table = array("i"), array("i")
    for chunk in chunks:
        trunk_at, trunk_pages = len(table), len(chunk.trunk)
        table.extend(chunk.trunk)
        for own, slot, count, row in zip(
            chunk.branches, chunk.slots, chunk.counts, chunk.rows, strict=True
        ):
            own_at = len(table)
            table.extend(own)
            for start in range(0, count, QUERIES):
                some, first = min(QUERIES, count - start), slot + start
                # Pages beyond the last that its own rows see are not read.
                seen = (first + some - 1) // PAGE + 1
                told.extend(
                    (row + start, some, chunk.tokens, trunk_pages, trunk_at, first, seen, own_at)
                )
    return numbers(told), numbers(table)


def blocks(segments: Sequence[Segment], slots: Sequence[int]) -> np.ndarray:
    """The first row of each block, the one after its last, and its adapter's slot, flat."""
    told = array("i")
    for segment, slot in zip(segments, slots, strict=True):
        for start in range(segment.start, segment.stop, BLOCK_ROWS):
            told.extend((start, min(start + BLOCK_ROWS, segment.stop), slot))
    return numbers(told)


def numbers(values: "array[int]") -> np.ndarray:
    """As int32, without a copy."""
    return np.frombuffer(values, np.int32) if values else np.empty(0, np.int32)
