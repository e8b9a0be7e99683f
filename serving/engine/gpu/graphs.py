"""Passes that are recorded as CUDA graphs and replayed: one launch in place of some 700.

A pass of few rows is over in less time than the host takes to launch its operations. A recorded
pass is launched as a whole. It always has the same number of rows, so a pass goes through the
smallest recorded one that has room for it, with rows that nobody attends to as padding, and it
reads and writes the same memory each time: what it is told (`serving.engine.gpu.told`), the pages,
the adapter table. Where one of these moves (they grow), it is recorded again. The head is recorded
apart, by the number of rows after which scores are wanted. Larger passes than any recorded one, and
those with pictures, are launched operation by operation.

All is recorded twice, so that the host can tell one pass and read another's scores while the device
computes: passes are computed in their order, on one stream.

`on_cuda` is all that needs a GPU. With another way of recording, such as to do the work again each
time, the rest runs on a CPU.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import torch

from serving.engine.backend import Scores
from serving.engine.decoder import Decoder
from serving.engine.gpu.adapters import Reach
from serving.engine.gpu.passes import KernelPasses
from serving.engine.gpu.told import BLOCK_ROWS, Needed, Room, Told
from serving.engine.pages import Pages
from serving.engine.scores import CopiedOnce, summary
from serving.engine.tree_cache import Rows
from serving.prompt import Position

logger = logging.getLogger(__name__)

ROWS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Of recorded passes. At most half of a pass is padding, and memory for the largest is little."""

ADAPTER_STRETCHES = 64
"""Of a recorded pass: each may end with a block that is not full."""

LISTED_PAGES = 4096
"""Of a recorded pass, and 16 more for each row."""

NOTHING = Needed((), (), (), ())

POSITIONS = 4096
"""Of recorded passes: whose rotations lie where they are read."""

Replay = Callable[[], list[torch.Tensor]]
"""Does the work that was recorded, and gives what it gave: the same memory each time."""

Record = Callable[[Replay], Replay]


def on_cuda(work: Replay) -> Replay:
    """Record `work` as a CUDA graph. What is made meanwhile in other threads is not recorded."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        work()  # compiles kernels and has libraries take their memory
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=_pool(), capture_error_mode="thread_local"):
        made = work()

    def replay() -> list[torch.Tensor]:
        graph.replay()
        return made

    return replay


@cache
def _pool() -> Any:
    """The memory of what passes through recorded work, which is never done at the same time."""
    return torch.cuda.graph_pool_handle()


@dataclass(frozen=True)
class Kind:
    """What a recorded pass depends on.

    Attributes:
        rows: its own.
        pages: all there are.
        reach: the adapter table's; None without adapters.
    """

    rows: int
    pages: int
    reach: Reach | None

    def outdated_by(self, other: "Kind") -> bool:
        """Whether no pass can be of this kind any more, where one is of `other`."""
        moved = None not in (self.reach, other.reach) and self.reach != other.reach
        return moved or self.pages != other.pages


@dataclass(frozen=True)
class Body:
    """A recorded pass up to the head, and what it reads."""

    told: Told
    turns: torch.Tensor
    replay: Replay


class Lane:
    """What is recorded, and the memory that it reads and writes: for one pass at a time."""

    def __init__(self, launched: KernelPasses, record: Record) -> None:
        self._launched = launched
        self._record = record
        # Where bodies leave what heads read: the rows before the head, and which are wanted.
        self._hidden = torch.empty(0, 0)
        self._wanted = torch.zeros(ROWS[-1], dtype=torch.int32, device=launched.device)
        # A decoder that goes, as a merged one may, takes what was recorded of it along.
        self._bodies: WeakKeyDictionary[Decoder, dict[Kind, Body]] = WeakKeyDictionary()
        self._heads: WeakKeyDictionary[Decoder, dict[int, Replay]] = WeakKeyDictionary()

    def body(self, decoder: Decoder, room: Room, adapted: bool) -> Body:
        """The pass of this room up to the head, recorded where it is not yet."""
        known = self._bodies.setdefault(decoder, {})
        reach = self._launched.adapters.reach if adapted else None
        kind = Kind(room.rows, self._launched.pages.count, reach)
        if kind not in known:
            for old in [old for old in known if old.outdated_by(kind)]:
                del known[old]
            known[kind] = self._recorded_body(decoder, room, adapted)
        return known[kind]

    def _recorded_body(self, decoder: Decoder, room: Room, adapted: bool) -> Body:
        launched, hidden = self._launched, self._results(decoder)[: room.rows]
        wanted = self._wanted[: room.rows]
        told, turns = Told(room, launched.device), decoder.turns_to(POSITIONS)
        told.tell(NOTHING, (), launched.nowhere)

        def work() -> list[torch.Tensor]:
            at = turns[told.positions]
            hidden.copy_(launched.hidden(decoder, told, at, adapted))
            return [hidden, wanted.copy_(told.wanted)]

        return Body(told, turns, self._record(work))

    def head(self, decoder: Decoder, count: int) -> Replay:
        """The head for scores after `count` rows, recorded where it is not yet."""
        known = self._heads.setdefault(decoder, {})
        rows = next(rows for rows in ROWS if rows >= count)
        if rows not in known:
            hidden, wanted = self._results(decoder), self._wanted[:rows]

            def work() -> list[torch.Tensor]:
                logits = decoder.logits(hidden[wanted])
                return [logits, summary(logits)]

            known[rows] = self._record(work)
        return known[rows]

    def _results(self, decoder: Decoder) -> torch.Tensor:
        """The rows before the head of a pass of any size."""
        if not len(self._hidden):
            shape = decoder.shape
            size = (ROWS[-1], decoder.width)
            self._hidden = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        return self._hidden


class GraphPasses:
    """See the module, and `serving.engine.tree_cache.Passes`."""

    def __init__(self, pages: Pages, record: Record | None = None) -> None:
        """Over `pages`; recorded by `record`, or else by `on_cuda`."""
        self._launched = KernelPasses(pages)
        # Two, since the next pass is told while the scores of the one before are still read.
        self._lanes = deque(Lane(self._launched, record or on_cuda) for _ in range(2))
        self._recorded = False
        self._failed = False

    def __call__(self, decoder: Decoder, rows: Rows, wanted: Sequence[int]) -> Scores:
        """See `serving.engine.tree_cache.Passes`."""
        needed = self._launched.needed(rows, wanted)
        room, positions = room_for(needed.room), near(rows.positions)
        if self._failed or room is None or positions is None or rows.seen:
            return self._launched.launch(decoder, rows, needed)
        self._lanes.rotate()
        try:
            body = self._lanes[0].body(decoder, room, bool(rows.segments))
            head = self._lanes[0].head(decoder, len(wanted))
        except Exception as error:  # a driver's, or no memory is left
            if not self._recorded:
                raise  # see `serving.engine.gpu.choice`
            logger.warning("passes are launched operation by operation from now on: %s", error)
            self._failed = True
            return self._launched.launch(decoder, rows, needed)
        self._recorded = True
        body.told.tell(needed, positions, self._launched.nowhere)
        body.replay()
        logits, summed_up = head()
        return CopiedOnce(logits[: len(wanted)], summed_up[: len(wanted)])


def near(positions: Sequence[Position]) -> list[int] | None:
    """`positions`, where all are among `POSITIONS`."""
    found = [place for place in positions if isinstance(place, int) and place < POSITIONS]
    return found if len(found) == len(positions) else None


def room_for(needed: Room) -> Room | None:
    """The smallest room of a recorded pass that holds what is needed; None where none does."""
    rooms = (
        Room(
            rows=rows,
            programs=rows,  # at most: each has a row of its own
            blocks=rows // BLOCK_ROWS + ADAPTER_STRETCHES,
            pages=LISTED_PAGES + 16 * rows,
        )
        for rows in ROWS
    )
    return next((room for room in rooms if room.holds(needed)), None)
