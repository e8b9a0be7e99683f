"""Adapters merged into the base's weights, for passes of few adapters.

A merged decoder saves the adapter's own products: with few rows in a pass, a quarter of its time.
It is made in the background once an adapter was in a number of passes in a row that had no more
adapters than decoders are kept; until then the adapter goes beside the base. Nothing is ever
unmerged.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

# About two listings: an adapter that is asked for once in a while is not worth a merge.
PASSES_BEFORE_MERGING = 24

Decoder = TypeVar("Decoder")


class MergedDecoders(Generic[Decoder]):
    """Decides which decoder computes a pass. For the thread that decodes."""

    def __init__(
        self,
        merge: Callable[[str], Decoder],
        limit: int,
        first: Mapping[str, Decoder] | None = None,
    ) -> None:
        """Keep at most `limit` decoders; those used longest ago go first.

        Args:
            merge: makes the decoder of an adapter's hash, in a thread of its own.
            limit: of those merged here; 0 for none ever.
            first: what there is already, which goes as any other.
        """
        self._merge = merge
        self._limit = limit
        self._merged = OrderedDict(first or {})
        self._lock = threading.Lock()
        self._background = threading.Thread()
        self._passes: dict[str, int] = {}  # in a row, by name

    def choose(self, names: Collection[str]) -> dict[str, Decoder]:
        """The decoders that there are, by name, for a pass of trees with these adapters' hashes.

        `names` is empty for a pass that needs none, or cannot be computed by several decoders.
        """
        few = names if len(names) <= self._limit else ()
        self._passes = {name: self._passes.get(name, 0) + 1 for name in few}
        with self._lock:
            found = {name: self._merged[name] for name in names if name in self._merged}
            for name in found:
                self._merged.move_to_end(name)
        for name in few:
            if name not in found and self._passes[name] > PASSES_BEFORE_MERGING:
                self._begin(name)
        return found

    def _begin(self, name: str) -> None:
        """Have a decoder made, unless one is being made."""
        if self._background.is_alive():
            return
        self._passes[name] = 0
        # A thread that ends, as those of `serving.engine.passing_thread`.
        self._background = threading.Thread(
            target=self._keep, args=(name,), name="listune-merge", daemon=True
        )
        self._background.start()

    def close(self) -> None:
        """Wait for a merge at work."""
        if self._background.ident:
            self._background.join()

    def _keep(self, name: str) -> None:
        with self._lock:
            # First, since two take memory: what goes was not asked for in all these passes.
            while len(self._merged) >= self._limit:
                self._merged.popitem(last=False)
        try:
            merged = self._merge(name)
        except Exception:
            logger.exception("adapter %s stays beside the base", name[:12])
            return
        with self._lock:
            self._merged[name] = merged
        logger.info("merged adapter %s", name[:12])
