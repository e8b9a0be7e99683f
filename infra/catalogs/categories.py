"""How many products of a catalog are of each category; nothing else of them is looked at."""

import json
from collections import Counter
from pathlib import Path

from infra.catalogs.catalog import CatalogError


def categories_in(path: Path) -> tuple[Counter[str], int]:
    """The products of `path` by category, and how many lines have none.

    Args:
        path: a catalog, JSONL; a line at a time, so that memory does not grow with the file.

    Raises:
        CatalogError: the file cannot be read, is no UTF-8, or no line of it has a category.
    """
    counts: Counter[str] = Counter()
    without = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file):
                if number == 0 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise CatalogError(f"{path}: is UTF-16; save the file as UTF-8")
                if not line.strip():
                    continue
                category = _category(line)
                if category is None:
                    without += 1
                else:
                    counts[category] += 1
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}; give the path of a JSONL file") from error
    if not counts:
        raise CatalogError(
            f"{path}: no line has a `category`; give a catalog, one product a line, such as "
            "`listune import` writes it"
        )
    return counts, without


def _category(line: bytes) -> str | None:
    """The category on a line, an id that is a number, too; None where it has none."""
    try:
        entry = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    category = entry.get("category") if isinstance(entry, dict) else None
    if isinstance(category, int) and not isinstance(category, bool):
        return str(category)
    return category if isinstance(category, str) and category.strip() else None
