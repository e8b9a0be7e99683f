"""Keys and values of all trees, of all layers, in blocks of 32 tokens: the graphs' own cache.

As `serving.engine.pages`, and for the same reasons; what differs is that OpenVINO reads the memory
by itself. A block of layer n is `kv heads` times `BLOCK` tokens of one head.
"""

import mmap
from collections.abc import Sequence
from math import prod
from weakref import WeakSet

import numpy as np
import openvino as ov

from serving.engine.free_list import FreeList
from serving.engine.openvino.compiled import Compiled
from serving.engine.openvino.graph import BLOCK, Sizes, cache_names

FIRST_BLOCKS = 64
GROWTH = 1.5


class Blocks(FreeList):
    """The blocks of one base model; for one thread, but they may be given back from any."""

    def __init__(self, sizes: Sizes, kind: ov.Type, first: int = FIRST_BLOCKS) -> None:
        """`first` blocks of `kind`, fp32 or bf16."""
        self._names = cache_names(sizes.layers)
        self._shape = (sizes.kv_heads, BLOCK, sizes.head_size)
        self._kind = kind
        self._readers: WeakSet[Compiled] = WeakSet()
        self._arrays = [self._zeros(first) for _ in self._names]
        super().__init__(0, first)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._arrays[0])

    def let_read(self, graph: Compiled) -> None:
        """Have `graph` compute with these blocks, from now on."""
        if graph not in self._readers:
            for name, array in zip(self._names, self._arrays, strict=True):
                graph.give(name, self._tensor(array))
            self._readers.add(graph)

    def copy(self, block: int, tokens: int, to: Sequence[int]) -> None:
        """The first `tokens` of `block` into each of the blocks `to`, in all layers."""
        places = list(to)
        for array in self._arrays:
            array[places, :, :tokens] = array[block, :, :tokens]

    def _grow(self) -> None:
        before = self.count
        after = int(before * GROWTH) + 1
        for place, name in enumerate(self._names):
            # One layer after the other, so that old and new are never there of all of them.
            old = self._arrays[place]
            self._arrays[place] = self._zeros(after)
            self._arrays[place][:before] = old
            for graph in self._readers:
                graph.give(name, self._tensor(self._arrays[place]))

    def _zeros(self, blocks: int) -> np.ndarray:
        """An array of zeros: no weight times NaN would be NaN."""
        # NumPy has no bf16, and nobody computes with it here: its bits are whole numbers.
        bits = np.dtype(np.float32 if self._kind == ov.Type.f32 else np.uint16)
        # Memory of its own takes pages from the system only where it is written, and gives them
        # back as soon as it is dropped: the C library would keep what is outgrown.
        memory = mmap.mmap(-1, blocks * prod(self._shape) * bits.itemsize, mmap.MAP_PRIVATE)
        return np.frombuffer(memory, bits).reshape(blocks, *self._shape)

    def _tensor(self, array: np.ndarray) -> ov.Tensor:
        return ov.Tensor(array, ov.Shape(array.shape), self._kind)
