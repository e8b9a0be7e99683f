"""The adapters in memory: beside the base for any pass, merged into it while one has them all.

A merged decoder saves the adapter's own products, and the fused kernels of the base stay usable.
It is made in the background once a number of passes in a row have named one adapter only; until
then, and whenever adapters mix, each goes beside the base. The base stays pristine and nothing is
ever unmerged.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from schemas.events import BASE_ADAPTER
from serving.adapter_file import AdapterFile
from serving.engine.adapter_store import AdapterStore
from serving.engine.backend import Adapter, AnyBackend
from serving.engine.decoder import Decoder
from serving.engine.eyes import projector
from serving.engine.eyes.projector import Projector
from serving.engine.model import Base, merge
from serving.engine.passing_thread import in_passing

logger = logging.getLogger(__name__)

# About two listings: an adapter that is asked for once in a while is not worth a merge.
PASSES_BEFORE_MERGING = 24


class LoadedAdapter(NamedTuple):
    """An adapter in memory."""

    lora: Adapter
    projector: Projector | None  # of one that sees through an encoder


class LoadedAdapters:
    """Adapters ready to compute with, at most `limit`, the one used longest ago leaving first."""

    def __init__(
        self,
        base: Base,
        backend: AnyBackend,
        shapes: Mapping[str, tuple[int, int]],
        store: AdapterStore,
        limit: int,
    ) -> None:
        """`shapes` are the base's, as `serving.engine.model.linear_shapes` gives them."""
        self._base = base
        self._backend = backend
        self._shapes = shapes
        self._store = store
        self._limit = limit
        self._loaded: OrderedDict[str, LoadedAdapter] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, adapter: AdapterFile) -> LoadedAdapter:
        """Take up an adapter that `serving.adapter_file.check_adapter` has passed.

        Raises:
            AdapterError: it changes what is not served.
        """
        loaded = in_passing(lambda: self._read(adapter))
        with self._lock:
            self._loaded[adapter.hash] = loaded
            while len(self._loaded) > self._limit:
                self._loaded.popitem(last=False)
        return loaded

    def get(self, adapter_hash: str) -> LoadedAdapter:
        """The adapter with this hash, read from the store if it has to be.

        Raises:
            UnknownAdapter: the store does not have it.
        """
        with self._lock:
            if adapter_hash in self._loaded:
                self._loaded.move_to_end(adapter_hash)
                return self._loaded[adapter_hash]
        return self.load(self._store.get(adapter_hash))

    def _read(self, adapter: AdapterFile) -> LoadedAdapter:
        lora = self._backend.take(adapter, self._shapes)
        if adapter.sight is None:
            return LoadedAdapter(lora, None)
        sees = projector.loaded(adapter.sight, adapter.projector())
        return LoadedAdapter(lora, sees.to(self._base.device).requires_grad_(False))


class MergedDecoders:
    """Decides which decoder computes a pass. For the engine's thread."""

    def __init__(self, base: Base, store: AdapterStore, limit: int) -> None:
        """At most `limit` merged decoders are kept; 0 for none ever."""
        self._base = base
        self._store = store
        self._limit = limit
        self._merged: OrderedDict[str, Decoder] = OrderedDict()
        self._lock = threading.Lock()
        self._background = threading.Thread()
        self._wanted = ""
        self._streak = 0

    def choose(self, adapters: set[str]) -> tuple[Decoder, bool]:
        """The decoder for a pass of trees with these adapters' hashes, and whether it is merged."""
        name = next(iter(adapters)) if len(adapters) == 1 else BASE_ADAPTER
        if name == BASE_ADAPTER:
            self._streak = 0
            return self._base.decoder, False
        self._streak = self._streak + 1 if name == self._wanted else 0
        self._wanted = name
        with self._lock:
            if name in self._merged:
                self._merged.move_to_end(name)
                return self._merged[name], True
        if self._streak >= PASSES_BEFORE_MERGING and self._limit:
            self._streak = 0
            if not self._background.is_alive():
                # A thread that ends, as those of `serving.engine.passing_thread`.
                self._background = threading.Thread(
                    target=self._merge, args=(name,), name="listune-merge", daemon=True
                )
                self._background.start()
        return self._base.decoder, False

    def close(self) -> None:
        """Wait for a merge at work."""
        if self._background.ident:
            self._background.join()

    def _merge(self, adapter_hash: str) -> None:
        try:
            adapter = self._store.get(adapter_hash)
            merged = Decoder(merge(self._base.model, adapter))
        except Exception:
            logger.exception("adapter %s stays beside the base", adapter_hash[:12])
            return
        with self._lock:
            while len(self._merged) >= self._limit:
                self._merged.popitem(last=False)
            self._merged[adapter_hash] = merged
        logger.info("merged adapter %s", adapter.id)
