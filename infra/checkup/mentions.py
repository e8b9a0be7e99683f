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
    words, is_in_wide_script = _searched(value)
    if is_in_wide_script:  # written without spaces
        return words in text
    if words[:1].isdigit() and " " in words:
        # Compiling takes longer than all else, and most of what is looked for is not there.
        head = words.partition(" ")[0]
        return head in text and _expression(words).search(text) is not None
    place = text.find(words)
    while place >= 0:
        end = place + len(words)
        if _is_apart(text[max(0, place - 2) : place], text[end : end + 2]):
            return True
        place = text.find(words, place + 1)
    return False


@lru_cache(maxsize=65_536)
def _searched(value: str) -> tuple[str, bool]:
    words = bare(value)
    return words, any(map(is_wide, words))


def _is_apart(before: str, after: str) -> bool:
    """Whether what stands before and after a place belongs to other words and other numbers."""
    if before[-1:].isalnum() or after[:1].isalnum():
        return False
    in_number = len(before) == 2 and before[0].isdigit() and before[1] in ".,"
    return not in_number and not (len(after) == 2 and after[0] in ".," and after[1].isdigit())


@lru_cache(maxsize=4_096)
def _expression(words: str) -> re.Pattern[str]:
    body = re.escape(words).replace(r"\ ", r"\s*")
    return re.compile(rf"(?<![^\W_])(?<!\d[.,]){body}(?![^\W_])(?![.,]\d)")
