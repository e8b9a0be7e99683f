"""A catalog's lines as entries: what is taken of them as it is meant, and what is wrong with one.

A number, a yes or no and nothing (null) are values as JSON writes them. What nobody can take, such
as an object or half of a character, is a `Fault` of its line or of one value.
"""

import json
import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from infra.importing.names import NO_WORDS, YES_WORDS
from infra.importing.rejected import LONGEST_SHOWN
from schemas.category import Attribute, AttributeType
from schemas.errors import ListuneError
from schemas.numbers import decimal_mark
from schemas.texts import HALF_CHARACTER, Spellings, is_cut, one_line, without_halves
from schemas.values import NO, YES

Entry = dict[str, Any]
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# By gzip, as Excel's files and other zips are, as Parquet is.
_PACKED = (b"\x1f\x8b", b"PK\x03\x04", b"PAR1")
_BOOLEANS = {word.casefold(): NO for word in (*NO_WORDS, "0")}
_BOOLEANS |= {word.casefold(): YES for word in (*YES_WORDS, "1")}
_SPELLED = {True: (YES, "true"), False: (NO, "false")}


class CatalogError(ListuneError):
    """A catalog that cannot be used; names the file, the line and the fault."""


class LineFault(ValueError):
    """Why a line is no product, and whose line it is, where it says so."""

    product_id: str | None = None


@dataclass(frozen=True)
class Fault:
    """A value that nobody can take, as it is shown, and why."""

    value: str
    reason: str


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of `path` that are not empty, numbered from 1, without a byte order mark.

    Raises:
        CatalogError: the file cannot be read, or is of another encoding throughout.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if number == 1 and line.startswith(_UTF_16):
                    raise CatalogError(f"{path}: is UTF-16; save the file as UTF-8")
                if number == 1 and line.startswith(_PACKED):
                    raise CatalogError(
                        f"{path}: is no JSONL; make a catalog of it with `listune import`"
                    )
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield number, line
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}; give the path of a JSONL file") from error


def read_entry(line: bytes) -> tuple[Entry, bool]:
    """The object on a line, with the fields that every product needs, of the right types; and
    whether half of a character was taken out of its texts.

    Its texts are in Unicode's form NFC. A title is empty only where there are `images`.

    Raises:
        LineFault: it is none.
    """
    entry = _object(line)
    try:
        return entry, _mend(entry, b"\\ud" in line.lower())
    except LineFault as fault:
        identity = entry.get("product_id")
        if isinstance(identity, str) and identity and not is_cut(identity):
            fault.product_id = identity
        raise


def category_of(line: bytes) -> str:
    """The category on a line, whatever else is wrong with it; empty where it has none.

    Raises:
        LineFault: the line is no object, or its category is no text.
    """
    category = _text("category", _object(line).get("category"))
    if is_cut(category):
        raise LineFault(f"'category': {HALF_CHARACTER}")
    return category


def _object(line: bytes) -> Entry:
    try:
        entry = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise LineFault("is not UTF-8; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        reason = "deep"
        if isinstance(error, json.JSONDecodeError):
            reason = f"{error.msg} (column {error.colno})"
        elif isinstance(error, ValueError):
            reason = "a number has thousands of digits"
        raise LineFault(f"not JSON: {reason}; give one object a line") from error
    if not isinstance(entry, dict):
        raise LineFault("is not an object; give one object a line")
    found: Entry = entry
    return found


_TEXTS = ("product_id", "category", "title", "description", "cluster")


def _mend(entry: Entry, may_be_cut: bool) -> bool:
    """Brings the fields to their types; whether half of a character was taken out."""
    for name in _TEXTS:
        entry[name] = _text(name, entry.get(name))
    is_mended = may_be_cut and _mend_halves(entry)
    for name in ("product_id", "category"):
        if not entry[name]:
            raise LineFault(f"{name!r} should be a text that is not empty")
    if not entry["title"] and not entry.get("images"):
        raise LineFault("'title' should be a text that is not empty")
    entry["cluster"] = entry["cluster"] or None
    for name in ("images", "requested"):
        entry[name] = _list(name, entry.get(name))
    if not isinstance(entry.get("catalog") or {}, dict):
        raise LineFault("'catalog' should be an object of attribute to its values, or left out")
    return is_mended


def _text(name: str, value: Any) -> str:
    """A field that is a text, or a number in its place; empty where there is none."""
    if value is None:
        return ""
    if _is_number(value):
        return _written(value)
    if not isinstance(value, str):
        raise LineFault(f"{name!r} should be a text")
    if not value.strip():
        return ""
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def _mend_halves(entry: Entry) -> bool:
    """Takes half characters out of what a reader would not miss them in; whether there were any.

    Exports cut texts at a number of UTF-16 units, in the middle of an emoji.
    """
    halved = [name for name in _TEXTS if is_cut(entry[name])]
    for name in halved:
        if name not in ("title", "description"):
            raise LineFault(f"{name!r}: {HALF_CHARACTER}")
        whole = without_halves(entry[name])
        entry[name] = whole if whole.strip() else ""
    return bool(halved)


def _list(name: str, value: Any) -> list[str] | None:
    """A field that is a list of texts; one text is a list of it."""
    if value is None:
        return None
    items = [item for item in (value if isinstance(value, list) else [value]) if item is not None]
    if not all(isinstance(item, str) for item in items):
        raise LineFault(f"{name!r} should be a list of texts, or left out")
    if any(map(is_cut, items)):
        raise LineFault(f"{name!r}: {HALF_CHARACTER}")
    return items


def texts_of(attribute: Attribute, given: Any) -> tuple[list[str], list[Fault]]:
    """What stands under `attribute` as texts, and what of it is none."""
    texts: list[str] = []
    faults: list[Fault] = []
    for item in given if isinstance(given, list) else [given]:
        if item is None:
            continue
        if isinstance(item, bool):
            texts.append(_of_truth(attribute, item))
        elif _is_number(item):
            texts.append(_of_number(attribute, item))
        elif not isinstance(item, str):
            faults.append(Fault(shown(json.dumps(item)), "should be a text, a number, yes or no"))
        elif is_cut(item):
            faults.append(Fault(shown(item), HALF_CHARACTER))
        else:
            texts.append(_of_word(attribute, item))
    return texts, faults


def shown(text: str) -> str:
    """`text` as a report has it: short, and without half of a character."""
    return text.encode("utf-8", "replace").decode()[:LONGEST_SHOWN]


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, float) and math.isfinite(value))


def _written(number: int | float) -> str:
    """In digits, `350.0` as `350`."""
    return (
        str(number) if isinstance(number, int) else format(Decimal(repr(number)).normalize(), "f")
    )


def _of_number(attribute: Attribute, number: int | float) -> str:
    text = _written(number)
    if attribute.type is AttributeType.BOOLEAN:
        return _BOOLEANS.get(text, text)
    if attribute.type is not AttributeType.NUMBER or "." not in text:
        return text
    if attribute.locale is not None:
        return text.replace(".", decimal_mark(attribute.locale))
    # JSON has one decimal mark; with a digit more the plain rule takes no three for a group.
    return f"{text}0" if len(text.partition(".")[2]) == 3 else text


def _of_truth(attribute: Attribute, is_true: bool) -> str:
    words = _SPELLED[is_true]
    if attribute.type is not AttributeType.ENUM:
        return words[0]
    allowed = Spellings(attribute.values)
    said = next((found for word in words if (found := allowed.find(word))), None)
    if said is not None:
        return said
    # An allowed value that says so in another language, where there is one and no second.
    others = [v for v in attribute.values if _BOOLEANS.get(one_line(v).casefold()) == words[0]]
    return others[0] if len(others) == 1 else words[0]


def _of_word(attribute: Attribute, text: str) -> str:
    if attribute.type is AttributeType.BOOLEAN:
        return _BOOLEANS.get(one_line(text).casefold(), text)
    return text


class Names:
    """Names that are looked up as they are meant: `mugs ` is `Mugs`, where that is the only one.

    A name in force goes before the names that something had before.
    """

    def __init__(self, in_force: Iterable[str], aliases: Iterable[str]) -> None:
        self._spellings = (Spellings(in_force), Spellings(aliases))
        self._found: dict[str, str | None] = {}

    def find(self, written: str) -> str | None:
        """The known name that is meant, or None."""
        if any(written in spellings.exact for spellings in self._spellings):
            return written
        if written not in self._found:
            known = () if is_cut(written) else self._spellings
            found = (spellings.find(written) for spellings in known)
            self._found[written] = next(filter(None, found), None)
        return self._found[written]
