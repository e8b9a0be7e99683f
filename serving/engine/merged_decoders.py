"""Adapters merged into the base's weights, for passes that have one adapter only.

A merged decoder saves the adapter's own products: with few rows in a pass, a quarter of its time.
It is made in the background once a number of passes in a row have named one adapter only; until
then, and whenever adapters mix, each goes beside the base. Nothing is ever unmerged.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
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
        self._wanted = ""
        self._streak = 0

    def choose(self, name: str | None) -> Decoder | None:
        """The decoder for a pass of trees with this adapter's hash; None where there is none.

        For a pass of several adapters, or of what needs no merging, `name` is None.
        """
        self._streak = self._streak + 1 if name == self._wanted else 0
        self._wanted = name or ""
        if name is None:
            return None
        with self._lock:
            if name in self._merged:
                self._merged.move_to_end(name)
                return self._merged[name]
        if self._streak >= PASSES_BEFORE_MERGING and self._limit:
            self._streak = 0
            if not self._background.is_alive():
                # A thread that ends, as those of `serving.engine.passing_thread`.
                self._background = threading.Thread(
                    target=self._keep, args=(name,), name="listune-merge", daemon=True
                )
                self._background.start()
        return None

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
