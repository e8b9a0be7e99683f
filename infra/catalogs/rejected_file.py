"""`<catalog>.rejected.jsonl`: what was left out of a catalog, beside it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from infra.catalogs.entries import CatalogError
from infra.importing.rejected import Rejected


def rejected_path(catalog: Path) -> Path:
    """Where it is. The whole name is kept: `products.rejected.jsonl` is what an import left out."""
    return catalog.with_name(f"{catalog.name}.rejected.jsonl")


@contextmanager
def rejected_file(catalog: Path) -> Iterator[Callable[[Rejected], None]]:
    """What writes a line for each `Rejected`; where nothing is left out, no file is there.

    Raises:
        CatalogError: the folder cannot be written to.
    """
    path = rejected_path(catalog)
    file: IO[bytes] | None = None

    def write(rejected: Rejected) -> None:
        nonlocal file
        if file is None:
            file = path.open("wb")
        line = json.dumps(rejected.entry(), ensure_ascii=False)
        file.write(line.encode("utf-8", "replace") + b"\n")

    try:
        path.unlink(missing_ok=True)
        yield write
    except PermissionError as error:
        raise CatalogError(
            f"{path} cannot be written; copy the catalog to a folder of your own"
        ) from error
    finally:
        if file is not None:
            file.close()
