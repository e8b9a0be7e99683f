"""The engine's own folder of adapters: what was pushed survives a restart."""

import logging
import threading
from collections.abc import Collection
from pathlib import Path

from serving.adapters import AdapterFile, read_adapter, write_file
from serving.errors import AdapterError, UnknownAdapter

logger = logging.getLogger(__name__)


class AdapterStore:
    """The engine's own folder of adapters, by hash; it survives a restart.

    At most `limit` are kept: beyond, the one used longest ago goes, unless it is in use. Whoever
    asks for it later is told `unknown adapter` and pushes it again. Safe for several threads.
    """

    def __init__(self, folder: Path, limit: int, base: str) -> None:
        """Open `folder` and take up its adapters for the base model with hash `base`.

        Files for another base stay untouched; a file that is broken is removed.
        """
        self.folder = folder
        self.limit = limit
        self._lock = threading.Lock()
        self._ids: dict[str, str] = {}  # hash to id, the one used longest ago first
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.safetensors"), key=lambda p: p.stat().st_mtime_ns):
            adapter = self._read(path)
            if adapter is not None and adapter.base_hash == base:
                self._ids[adapter.hash] = adapter.id

    def ids(self) -> dict[str, str]:
        """Adapter id by hash."""
        with self._lock:
            return dict(self._ids)

    def get(self, adapter_hash: str) -> AdapterFile:
        """The adapter with this hash.

        Raises:
            UnknownAdapter: it is not here.
        """
        with self._lock:
            if adapter_hash in self._ids:
                adapter = self._read(self._path(adapter_hash))
                if adapter is not None:
                    self._ids[adapter_hash] = self._ids.pop(adapter_hash)
                    return adapter
                del self._ids[adapter_hash]
        raise UnknownAdapter(f"no adapter {adapter_hash[:12]} here; push it and ask again")

    def put(self, adapter: AdapterFile, in_use: Collection[str] = ()) -> None:
        """Keep `adapter`. The same one again changes nothing.

        Raises:
            AdapterError: its id already names another adapter.
        """
        with self._lock:
            if adapter.hash in self._ids:
                return
            if adapter.id in self._ids.values():
                raise AdapterError(
                    f"adapter id {adapter.id!r} already names another adapter; "
                    "an id is never reused, choose a new one"
                )
            write_file(self._path(adapter.hash), adapter.blob)
            self._ids[adapter.hash] = adapter.id
            idle = [h for h in self._ids if h not in in_use and h != adapter.hash]
            for old in idle[: max(0, len(self._ids) - self.limit)]:
                logger.info("adapter %s leaves the store: it was used longest ago", self._ids[old])
                self._path(old).unlink(missing_ok=True)
                del self._ids[old]

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
