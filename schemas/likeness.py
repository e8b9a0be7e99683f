"""Titles that are nearly the same: offers of one product, or one product in several colours.

Two titles of one category are near-duplicates where the pairs of neighbouring characters that they
have in common are `NEAR` or more of all that they have (Jaccard). Characters and not words, since
many scripts write no spaces; letter case, width, white space and punctuation do not count. A
Chinese, Japanese or Korean character, which carries as much as a pair of letters, counts alone as
well: without this a short title in two colours has too little in common.

`text_group` is the same for texts that differ in no letter and no digit: a number that is cheap to
make of each listing and to count by.
"""

import hashlib
import math
import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache

# Higher misses the colours of one product, lower joins products of different brands; what was
# counted stands in docs/catalog.md.
NEAR = 0.6


class Titles:
    """Titles that others are compared with, under a key each (a listing's id, a number)."""

    def __init__(self) -> None:
        self._grams: list[frozenset[str]] = []
        self._keys: list[str] = []
        self._having: dict[str, dict[str, list[int]]] = {}  # by category and gram

    def add(self, category: str, title: str, key: str) -> None:
        """Compare with this one from now on; a title without any letter or digit is like none."""
        found = grams(title)
        having = self._having.setdefault(category, {})
        for gram in found:
            having.setdefault(gram, []).append(len(self._grams))
        self._grams.append(found)
        self._keys.append(key)

    def near(self, category: str, title: str) -> Iterator[str]:
        """The keys of the near-duplicates of `title`, in the order in which they were added."""
        wanted, having = grams(title), self._having.get(category, {})
        found = sorted((having[gram] for gram in wanted if gram in having), key=len)
        # A near-duplicate lacks so few of them that it has one of these; the rarest are looked up,
        # since what is in nearly every title would name nearly every title.
        enough = len(found) - math.ceil(NEAR * len(wanted)) + 1
        for place in sorted(set[int]().union(*found[: max(0, enough)])):
            shared = len(wanted & self._grams[place])
            if shared >= NEAR * (len(wanted) + len(self._grams[place]) - shared):
                yield self._keys[place]


@lru_cache(maxsize=4096)  # a title is compared several times in a row
def grams(title: str) -> frozenset[str]:
    """The pairs of neighbouring characters in `title`, and the wide ones of them alone as well."""
    kept = _bare(title)
    if len(kept) < 2:
        return frozenset({kept} - {""})
    pairs = (kept[i : i + 2] for i in range(len(kept) - 1))
    return frozenset([*pairs, *filter(is_wide, kept)])


def text_group(category: str, title: str, description: str) -> int | None:
    """A number of 63 bits that listings of one category share whose titles differ in nothing but
    case, width, white space and punctuation; without a title the descriptions count. None for a
    listing without any letter or digit, which is like no other."""
    text = _bare(title) or _bare(description)
    if not text:
        return None
    return _group(category, text)


def picture_group(category: str, pictures: Collection[str]) -> int | None:
    """As `text_group`, for listings without a text: the same for the same pictures in any order,
    None without one. `pictures` are their hashes."""
    return _group(category, "\n".join(sorted(set(pictures)))) if pictures else None


def _group(category: str, what: str) -> int:
    said = f"{category}\n{what}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest()) >> 1


_NO_LETTER = re.compile(r"[\W_]+", re.ASCII)


def _bare(text: str) -> str:
    """The letters, digits and marks of `text`, as they are compared."""
    if text.isascii():  # the same, in a tenth of the time
        return _NO_LETTER.sub("", text.lower())
    text = unicodedata.normalize("NFKC", text).casefold()
    # Marks stay: in many scripts they are the vowels.
    return "".join(c for c in text if c.isalnum() or unicodedata.category(c).startswith("M"))


def is_wide(character: str) -> bool:
    """Whether it is a character of Chinese, Japanese or Korean; of a text after NFKC."""
    return unicodedata.east_asian_width(character) == "W"
