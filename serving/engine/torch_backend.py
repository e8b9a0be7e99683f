"""PyTorch's passes: `serving.engine.decoder` over the pages of `serving.engine.tree_cache`."""

from collections.abc import Mapping
from typing import Protocol

from serving.adapter_file import AdapterFile
from serving.engine.decoder import Decoder
from serving.engine.lora import Lora, load_lora
from serving.engine.pages import FIRST_PAGES, Pages
from serving.engine.tree_cache import PYTORCH, Kernels, TreeCache, TreePass
from serving.prompt import Trunk

DRAFT_ROWS = {"cpu": 24, "cuda": 256}


class Decoders(Protocol):
    """Decides which decoder computes a pass: `serving.engine.merged_decoders.MergedDecoders`."""

    def choose(self, adapters: set[str]) -> tuple[Decoder, bool]:
        """The decoder for trees with these adapters' hashes, and whether it has them merged."""
        ...

    def close(self) -> None:
        """Wait for a merge at work."""
        ...


class One:
    """One decoder for all passes."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def choose(self, adapters: set[str]) -> tuple[Decoder, bool]:
        """See `Decoders`."""
        return self._decoder, False

    def close(self) -> None:
        """See `Decoders`."""


class TorchBackend:
    """See `serving.engine.backend.Backend`."""

    name = "torch"

    def __init__(
        self,
        decoder: Decoder,
        decoders: Decoders | None = None,
        first: int = FIRST_PAGES,
        kernels: Kernels = PYTORCH,
    ) -> None:
        """Passes of `decoder`, or of the one that `decoders` choose; `first` pages at first."""
        self._kernels = kernels
        self.pages = Pages(decoder.shape, first)
        self.draft_rows = DRAFT_ROWS.get(decoder.shape.device.type, 0)
        self.decoders: Decoders = decoders or One(decoder)

    def cache(self, trunk: Trunk, branches: int) -> TreeCache:
        """See `serving.engine.backend.Backend`."""
        return TreeCache(self.pages, trunk, branches)

    def begin(self) -> TreePass:
        """See `serving.engine.backend.Backend`."""
        return TreePass(self.pages, self.decoders.choose, self._kernels)

    def take(self, adapter: AdapterFile, shapes: Mapping[str, tuple[int, int]]) -> Lora:
        """See `serving.engine.backend.Backend`."""
        shape = self.pages.shape
        return load_lora(adapter, shapes, shape.head_size, shape.dtype, shape.device)

    def close(self) -> None:
        """See `serving.engine.backend.Backend`."""
        self.decoders.close()
