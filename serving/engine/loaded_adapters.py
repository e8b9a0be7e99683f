"""The adapters in memory, in the form in which the backend computes with them."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from serving.adapter_file import AdapterFile
from serving.engine.adapter_store import AdapterStore
from serving.engine.backend import Adapter, AnyBackend
from serving.engine.eyes import projector
from serving.engine.eyes.projector import Projector
from serving.engine.model import Base
from serving.engine.passing_thread import in_passing

logger = logging.getLogger(__name__)


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
