"""`<catalog>.rejected.jsonl`: what was left out of a catalog, beside it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from infra.importing.rejected import Rejected


def rejected_path(catalog: Path) -> Path:
    """Where it is. The whole name is kept: `products.rejected.jsonl` is what an import left out."""
    return catalog.parent / f"{catalog.name}.rejected.jsonl"  # `.` has no name to change


@contextmanager
def rejected_file(catalog: Path) -> Iterator[Callable[[Rejected], None]]:
    """What writes a line for each `Rejected`; where nothing is left out, no file is there.

    A folder that cannot be written to stops no reading: `where_rejected` says that there is none.
    """
    path = rejected_path(catalog)
    file: IO[bytes] | None = None
    is_open = True

    def write(rejected: Rejected) -> None:
        nonlocal file, is_open
        if file is None and is_open:
            try:
                file = path.open("wb")
            except OSError:
                is_open = False
        if file is not None:
            line = json.dumps(rejected.entry(), ensure_ascii=False)
            file.write(line.encode("utf-8", "replace") + b"\n")

    with suppress(OSError):  # that of an earlier reading
        path.unlink()
    try:
        yield write
    finally:
        if file is not None:
            file.close()


def where_rejected(catalog: Path) -> str:
    """Where somebody reads what was left out, in a sentence."""
    path = rejected_path(catalog)
    if path.is_file():
        return f"what was left out: {path}"
    return f"{path} could not be written; copy the catalog to a folder of your own to have it"
