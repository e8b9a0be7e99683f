"""Texts as they are kept, and as they are compared.

- `one_line`: as it is kept. Unicode's form NFC, no control characters, single spaces.
- `comparable`: as it is compared. Form NFKC (full-width letters, ligatures), no letter case, and
  none of the marks that nobody sees (zero-width spaces and joiners, soft hyphens, directions).
- `bare`: the same without outer punctuation, for free text.
- `Spellings`: allowed words, and which of them a text means.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cached_property

HALF_CHARACTER = "a text has half of a character; cut it between characters, not between units"
"""What to say of a lone surrogate."""

_CONTROL = re.compile(
    f"[{''.join(chr(i) for i in (*range(0x20), *range(0x7F, 0xA0)) if not chr(i).isspace())}]"
)
# Unicode's category Cf, and what says which picture of a character is meant.
_UNSEEN = re.compile(
    "[\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def one_line(text: str) -> str:
    """`text` as it is kept: NFC, on one line, without control characters."""
    if not text.isprintable():
        text = _CONTROL.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())


def plain(text: str) -> str:
    """`text` in NFKC, without marks that nobody sees; letter case stays."""
    if not text.isascii():
        seen = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
        text = unicodedata.normalize("NFKC", seen)
    return one_line(text)


def comparable(text: str) -> str:
    """`plain` without letter case: equal for texts that are the same to a reader."""
    if text.isascii():
        return one_line(text).lower()
    return plain(plain(text).casefold())


def bare(text: str) -> str:
    """Of one line: `comparable` without outer punctuation, but for what belongs to a number: `.5`,
    `5"`."""
    whole = text.lower() if text.isascii() else comparable(text)
    bare_text, before = whole, ""
    if bare_text[:1].isalnum() and bare_text[-1].isalnum():
        return bare_text
    while bare_text != before:
        before = bare_text
        if len(bare_text) > 1 and bare_text[0] == bare_text[-1] and bare_text[0] in "'\"":
            bare_text = bare_text[1:-1]
        bare_text = _OUTER.sub("", bare_text)
    return bare_text or whole


_OUTER = re.compile(r"""^(?:[;:\s'"]|[.,](?!\d))+|[.,;:\s]+$|(?<![\d'"])['"]+$""")


def is_cut(text: str) -> bool:
    """Whether `text` has half of a character (a lone surrogate), which no UTF-8 can write."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def without_halves(text: str) -> str:
    """`text` without the halves of characters in it."""
    return _SURROGATE.sub("", text)


def is_cut_json(line: str) -> bool:
    """Whether a JSON text has half of a character in one of its strings, as an escape."""
    return "\\ud" in line.lower() and is_cut(json.dumps(json.loads(line), ensure_ascii=False))


class Spellings:
    """Words that are allowed, and which of them a text means; the tables are made once.

    A text that is none of them is the one that a reader would take for the same (`plain`), or the
    one that differs from it in letter case only, where there is exactly one.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = tuple(dict.fromkeys(allowed))
        self.exact = frozenset(self._allowed)

    def find(self, text: str) -> str | None:
        """The allowed word that `text` means, or None."""
        if text in self.exact:
            return text
        return self.same(text) or self.folded(text)

    def same(self, text: str) -> str | None:
        """The allowed word that looks like `text`, letter case included."""
        return self._plain.get(plain(text))

    def folded(self, text: str) -> str | None:
        """The allowed word that differs from `text` in letter case at most."""
        return self._comparable.get(comparable(text))

    @cached_property
    def _plain(self) -> dict[str, str]:
        return self._by(plain)

    @cached_property
    def _comparable(self) -> dict[str, str]:
        return self._by(comparable)

    def _by(self, key: Callable[[str], str]) -> dict[str, str]:
        """Allowed word by key, of the keys that only one of them has."""
        found: dict[str, str] = {}
        several = set()
        for word in self._allowed:
            if found.setdefault(key(word), word) != word:
                several.add(key(word))
        return {k: word for k, word in found.items() if k not in several}
