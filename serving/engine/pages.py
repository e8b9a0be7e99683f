"""Keys and values of all trees, of all layers, in pages of a fixed number of tokens.

Trees come and go and their branches grow at different rates. With pages nothing is ever moved or
made larger for one of them, and what one leaves the next one takes (PagedAttention,
arXiv:2309.06180). A page holds the keys and values of `PAGE` tokens, of one trunk or one branch.
"""

import torch

from serving.engine.free_list import FreeList
from serving.engine.shape import Shape

PAGE = 16
"""Tokens in a page: two are 32 keys, a whole number of vector registers."""

NULL = 0
"""A page of zeros that nobody writes: where a list of pages is shorter than its neighbours'."""

FIRST_PAGES = 256
GROWTH = 1.5


class Pages(FreeList):
    """The pages of one base model; for one thread, but pages may be given back from any."""

    def __init__(self, shape: Shape, first: int = FIRST_PAGES) -> None:
        """Room for `first` pages, at least two; more as they are taken."""
        self.shape = shape
        self._layers = [self._zeros(first) for _ in range(shape.layers)]
        super().__init__(NULL + 1, first)

    @property
    def count(self) -> int:
        """How many there are, the null page among them."""
        return len(self._layers[0]) // (2 * self.shape.kv_heads)

    def places(self, pages: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Where tokens of `pages` at `offsets` in them, both (tokens,), are written: (tokens * 2 *
        kv heads,), the keys of a token before its values."""
        heads = torch.arange(2 * self.shape.kv_heads, device=pages.device)
        return ((pages[:, None] * len(heads) + heads) * PAGE + offsets[:, None]).flatten()

    def rows(self, pages: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the keys, and where the values, of `pages` (trees, branches, pages) are read:
        twice (trees * kv heads * branches * pages,)."""
        heads = torch.arange(self.shape.kv_heads)[:, None, None]
        keys = pages[:, None] * 2 * self.shape.kv_heads + heads
        return keys.flatten(), (keys + self.shape.kv_heads).flatten()

    def write(self, layer: int, places: torch.Tensor, kv: torch.Tensor) -> None:
        """Write `kv` (tokens * 2 * kv heads, size) at `places`."""
        self._layers[layer].view(-1, self.shape.head_size).index_copy_(0, places, kv)

    def read(self, layer: int, rows: torch.Tensor) -> torch.Tensor:
        """What stands at `rows`: (rows * PAGE, size)."""
        return self._layers[layer].index_select(0, rows).view(-1, self.shape.head_size)

    def of_layer(self, layer: int) -> torch.Tensor:
        """All pages of a layer: (pages * 2 * kv heads, PAGE * size), keys before values."""
        return self._layers[layer]

    def _grow(self) -> None:
        after = int(self.count * GROWTH)
        for layer, old in enumerate(self._layers):
            # One layer after the other, so that old and new are never there of all of them.
            self._layers[layer] = self._zeros(after)
            self._layers[layer][: len(old)] = old

    def _zeros(self, pages: int) -> torch.Tensor:
        shape = self.shape
        # A slot that nobody may see has no weight, but no weight times NaN would be NaN: so zeros.
        size = (pages * 2 * shape.kv_heads, PAGE * shape.head_size)
        return torch.zeros(size, dtype=shape.dtype, device=shape.device)
