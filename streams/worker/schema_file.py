"""The file of category schemas, which may change while a worker runs.

A worker looks at the file every `streams.schema_look_s` seconds. A changed file is read aside; only
one that is valid as a whole is taken over. What is wrong with another one is logged once and shown
in `/metrics`, and the schemas in force stay: a slip in an editor stops nobody.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from schemas.category import CategorySchemas
from schemas.errors import SchemaError
from schemas.sources.json_schema import read_schemas
from schemas.versions import changed_categories
from streams import metrics
from streams.worker import faust_app

log = logging.getLogger(__name__)

NAMED = 5
"""Categories that the log names when they changed; the others are counted."""

Take = Callable[[CategorySchemas], object]
Signature = tuple[int, int, int] | None


def _nobody(_: CategorySchemas) -> None:
    pass


class SchemaFile:
    """One schema file, read once and then again whenever it changed. Any thread may look."""

    def __init__(self, path: Path, every_s: float) -> None:
        """Reads the file.

        Args:
            every_s: how often `follow` looks at it; 0 = nobody looks at it again.

        Raises:
            SchemaError: it cannot be used; at the start there are no others to go on with.
        """
        self._path = path
        self._every_s = every_s
        self._lock = Lock()
        # Before the file is read: what is written meanwhile is found by the next look.
        self._seen = _signature(path)
        self.schemas = read_schemas(path)
        """Those of the last valid file."""

    def look(self, take: Take = _nobody) -> None:
        """Hands the schemas to `take` if the file has others now; returns after `take` did.

        Who looks at `schemas` itself needs no `take`.
        """
        if not self._every_s:
            return
        with self._lock:
            signature = _signature(self._path)
            if signature == self._seen:
                return
            self._seen = signature
            try:
                schemas = read_schemas(self._path)
            except SchemaError as error:
                log.error("%s; until then the schemas in force stay", error)
                metrics.schema_file("refused")
                return
            changed = changed_categories(self.schemas, schemas)
            if changed:
                take(schemas)
                more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
                log.info("new schemas of %s%s", ", ".join(changed[:NAMED]), more)
            self.schemas = schemas
            metrics.schema_file("taken" if changed else "unchanged")

    async def follow(self, take: Take = _nobody) -> None:
        """Looks now and then, in a thread, for as long as the worker runs."""
        while self._every_s:
            await asyncio.sleep(self._every_s)
            try:
                await asyncio.to_thread(self.look, take)
            except Exception as error:
                faust_app.crash(error)


def _signature(path: Path) -> Signature:
    """What is another when the file is written to, or another file renamed to its name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
