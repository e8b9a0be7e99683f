"""Whether a value stands in a product's text, as a reader would find it."""

import re
from functools import lru_cache

from infra.catalogs.catalog import Product
from schemas.likeness import is_wide
from schemas.markup import without_markup
from schemas.texts import bare, comparable


def text_of(product: Product) -> str:
    """Title and description as they are searched: without markup, in one letter case."""
    return comparable(f"{product.title} \n {without_markup(product.description)}")


def stands_in(value: str, text: str) -> bool:
    """Whether `value` stands in the searched `text` as words of its own; between a number and its
    unit there may be a space or none."""
    return _expression(value).search(text) is not None


@lru_cache(maxsize=65_536)
def _expression(value: str) -> re.Pattern[str]:
    words = bare(value)
    if any(map(is_wide, words)):  # written without spaces
        return re.compile(re.escape(words))
    body = re.escape(words).replace(r"\ ", r"\s*" if words[:1].isdigit() else r"\s+")
    return re.compile(rf"(?<![^\W_])(?<!\d[.,]){body}(?![^\W_])(?![.,]\d)")
