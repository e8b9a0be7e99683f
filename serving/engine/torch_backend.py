"""PyTorch's passes: `serving.engine.decoder` over the pages of `serving.engine.tree_cache`."""

from collections.abc import Callable, Mapping

from schemas.events import BASE_ADAPTER
from serving.adapter_file import AdapterFile
from serving.engine.decoder import Decoder
from serving.engine.lora import Lora, load_lora
from serving.engine.merged_decoders import MergedDecoders
from serving.engine.pages import FIRST_PAGES, Pages
from serving.engine.tree_cache import Passes, PlainPasses, TreeCache, TreePass
from serving.prompt import Trunk

DRAFT_ROWS = {"cpu": 24, "cuda": 256}


class TorchBackend:
    """See `serving.engine.backend.Backend`."""

    name = "torch"

    def __init__(
        self,
        decoder: Decoder,
        merged: MergedDecoders[Decoder] | None = None,
        first: int = FIRST_PAGES,
        passes: Callable[[Pages], Passes] = PlainPasses,
    ) -> None:
        """Passes of `decoder`, or of one that is `merged`, computed by `passes` over the pages that
        it is given, `first` of them at first."""
        self.pages = Pages(decoder.shape, first)
        self._passes = passes(self.pages)
        self.draft_rows = DRAFT_ROWS.get(decoder.shape.device.type, 0)
        self.overlaps = decoder.shape.device.type == "cuda"
        self.merged = merged
        self._decoder = decoder

    def cache(self, trunk: Trunk, branches: int) -> TreeCache:
        """See `serving.engine.backend.Backend`."""
        return TreeCache(self.pages, trunk, branches)

    def begin(self) -> TreePass:
        """See `serving.engine.backend.Backend`."""
        return TreePass(self.choose, self._passes)

    def take(self, adapter: AdapterFile, shapes: Mapping[str, tuple[int, int]]) -> Lora:
        """See `serving.engine.backend.Backend`."""
        shape = self.pages.shape
        return load_lora(adapter, shapes, shape.head_size, shape.dtype, shape.device)

    def close(self) -> None:
        """See `serving.engine.backend.Backend`."""
        if self.merged is not None:
            self.merged.close()

    def choose(self, adapters: set[str]) -> tuple[Decoder, bool]:
        """The decoder for trees with these adapters' hashes, and whether it has them merged."""
        if self.merged is not None:
            # Rows of one pass go through one decoder.
            one = adapters - {BASE_ADAPTER} if len(adapters) == 1 else ()
            for found in self.merged.choose(one).values():
                return found, True
        return self._decoder, False
