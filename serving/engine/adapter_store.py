"""The engine's own folder of adapters: what was pushed survives a restart."""

import logging
import threading
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from serving.adapter_file import AdapterFile, read_adapter
from serving.calibration import Calibration
from serving.errors import AdapterError, UnknownAdapter
from serving.process.files import write_file
from serving.projector import Sight

logger = logging.getLogger(__name__)


class _Kept(NamedTuple):
    """What is asked of an adapter at each request, so that its file need not be read."""

    id: str
    calibration: Calibration | None


class AdapterStore:
    """The engine's own folder of adapters, by hash; it survives a restart.

    At most `limit` are kept: beyond, the one used longest ago goes, unless it is in use. Whoever
    asks for it later is told `unknown adapter` and pushes it again. Safe for several threads.
    """

    def __init__(self, folder: Path, limit: int, base: str, sight: Sight | None = None) -> None:
        """Open `folder` and take up its adapters for the base model with hash `base`.

        Files for another base, or for another encoder than that of `sight`, stay untouched; a file
        that is broken is removed.

        Raises:
            AdapterError: `folder` cannot be made.
        """
        self.folder = folder
        self.limit = limit
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}  # by hash, the one used longest ago first
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AdapterError(
                f"the adapter store {folder} cannot be made ({error.strerror}); "
                "set serving.adapter_store to a folder that can be written"
            ) from None
        for path in sorted(folder.glob("*.safetensors"), key=lambda p: p.stat().st_mtime_ns):
            adapter = self._read(path)
            if adapter is None or adapter.sight not in (None, sight):
                continue
            if adapter.base_hash == base:
                self._kept[adapter.hash] = _Kept(adapter.id, adapter.calibration)

    def ids(self) -> dict[str, str]:
        """Adapter id by hash."""
        with self._lock:
            return {adapter_hash: kept.id for adapter_hash, kept in self._kept.items()}

    def calibration(self, adapter_hash: str) -> Calibration | None:
        """The calibration of this adapter; None where it has none, is not here, or is the base."""
        with self._lock:
            kept = self._kept.get(adapter_hash)
        return kept.calibration if kept else None

    def get(self, adapter_hash: str) -> AdapterFile:
        """The adapter with this hash.

        Raises:
            UnknownAdapter: it is not here.
        """
        with self._lock:
            if adapter_hash in self._kept:
                adapter = self._read(self._path(adapter_hash))
                if adapter is not None:
                    self._kept[adapter_hash] = self._kept.pop(adapter_hash)
                    return adapter
                del self._kept[adapter_hash]
        raise unknown(adapter_hash)

    def use(self, adapter_hash: str) -> None:
        """Take note that the adapter is asked for.

        Raises:
            UnknownAdapter: it is not here.
        """
        with self._lock:
            if adapter_hash not in self._kept:
                raise unknown(adapter_hash)
            self._kept[adapter_hash] = self._kept.pop(adapter_hash)

    def put(self, adapter: AdapterFile, in_use: Collection[str] = ()) -> None:
        """Keep `adapter`. The same one again changes nothing.

        Raises:
            AdapterError: its id already names another adapter.
        """
        with self._lock:
            if adapter.hash in self._kept:
                return
            if any(kept.id == adapter.id for kept in self._kept.values()):
                raise AdapterError(
                    f"adapter id {adapter.id!r} already names another adapter; "
                    "an id is never reused, choose a new one"
                )
            write_file(self._path(adapter.hash), adapter.blob)
            self._kept[adapter.hash] = _Kept(adapter.id, adapter.calibration)
            idle = [h for h in self._kept if h not in in_use and h != adapter.hash]
            for old in idle[: max(0, len(self._kept) - self.limit)]:
                logger.info(
                    "adapter %s leaves the store: it was used longest ago", self._kept[old].id
                )
                self._path(old).unlink(missing_ok=True)
                del self._kept[old]

    def _path(self, adapter_hash: str) -> Path:
        return self.folder / f"{adapter_hash}.safetensors"

    def _read(self, path: Path) -> AdapterFile | None:
        try:
            adapter = read_adapter(path.read_bytes())
        except (OSError, AdapterError) as error:
            logger.warning("adapter file %s cannot be read: %s", path.name, error)
            adapter = None
        if adapter is None or adapter.hash != path.stem:
            logger.warning("adapter file %s is broken and is removed; push it again", path.name)
            path.unlink(missing_ok=True)
            return None
        return adapter


def unknown(adapter_hash: str) -> UnknownAdapter:
    """The error for an adapter that is not here."""
    return UnknownAdapter(f"no adapter {adapter_hash[:12]} here; push it and ask again")
