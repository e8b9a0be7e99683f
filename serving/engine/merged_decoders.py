"""Adapters merged into copies of the base, for PyTorch's passes that have one adapter only.

A merged decoder saves the adapter's own products, and the fused kernels of the base stay usable.
It is made in the background once a number of passes in a row have named one adapter only; until
then, and whenever adapters mix, each goes beside the base. The base stays pristine and nothing is
ever unmerged.
"""

import logging
import threading
from collections import OrderedDict

from schemas.events import BASE_ADAPTER
from serving.engine.adapter_store import AdapterStore
from serving.engine.decoder import Decoder
from serving.engine.model import Base, merge

logger = logging.getLogger(__name__)

# About two listings: an adapter that is asked for once in a while is not worth a merge.
PASSES_BEFORE_MERGING = 24


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
