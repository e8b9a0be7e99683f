"""How many products of a catalog are of each category; nothing else of them is looked at."""

from collections import Counter
from pathlib import Path

from infra.catalogs.entries import CatalogError, LineFault, category_of, lines


def categories_in(path: Path) -> tuple[Counter[str], int]:
    """The products of `path` by category, and how many lines have none.

    Args:
        path: a catalog, JSONL; a line at a time, so that memory does not grow with the file.

    Raises:
        CatalogError: the file cannot be read, is no UTF-8, or no line of it has a category.
    """
    counts: Counter[str] = Counter()
    without = 0
    for _, line in lines(path):
        category = _category(line)
        if category is None:
            without += 1
        else:
            counts[category] += 1
    if not counts:
        raise CatalogError(
            f"{path}: no line has a `category`; give a catalog, one product a line, such as "
            "`listune import` writes it"
        )
    return counts, without


def _category(line: bytes) -> str | None:
    """The category on a line as a catalog's reader takes it; None where it has none."""
    try:
        return category_of(line) or None
    except LineFault:
        return None
