"""A catalog's lines as entries: what is taken of them as it is meant, and what is wrong with one.

A number, a yes or no and nothing (null) are values as JSON writes them. What nobody can take, such
as an object or half of a character, is a `Fault` of its line or of one value.
"""

import json
import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from infra.importing.names import NO_WORDS, YES_WORDS
from infra.importing.rejected import LONGEST_SHOWN
from schemas.category import Attribute, AttributeType
from schemas.errors import ListuneError
from schemas.numbers import decimal_mark
from schemas.texts import HALF_CHARACTER, Spellings, is_cut, one_line
from schemas.values import NO, YES

Entry = dict[str, Any]
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BOOLEANS = {word.casefold(): NO for word in (*NO_WORDS, "0")}
_BOOLEANS |= {word.casefold(): YES for word in (*YES_WORDS, "1")}
_SPELLED = {True: (YES, "true"), False: (NO, "false")}


class CatalogError(ListuneError):
    """A catalog that cannot be used; names the file, the line and the fault."""


class LineFault(ValueError):
    """Why a line is no product."""


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
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield number, line
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}; give the path of a JSONL file") from error


def read_entry(line: bytes) -> Entry:
    """The object on a line, with the fields that every product needs, of the right types.

    Raises:
        LineFault: it is none.
    """
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
    if _is_number(entry.get("product_id")):
        entry["product_id"] = _written(entry["product_id"])
    for name in ("product_id", "category", "title"):
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            raise LineFault(f"{name!r} should be a text that is not empty")
        entry[name] = unicodedata.normalize("NFC", entry[name])
    for name, (check, wanted) in _OPTIONAL.items():
        if entry.get(name) is not None and not check(entry[name]):
            raise LineFault(f"{name!r} should be {wanted}, or left out")
    own = {name: value for name, value in entry.items() if name != "catalog"}
    if b"\\ud" in line.lower() and is_cut(json.dumps(own, ensure_ascii=False)):
        raise LineFault(HALF_CHARACTER)
    return entry


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
    if attribute.type is AttributeType.ENUM:
        allowed = Spellings(attribute.values)
        return next((found for word in words if (found := allowed.find(word))), words[0])
    return words[0]


def _of_word(attribute: Attribute, text: str) -> str:
    if attribute.type is AttributeType.BOOLEAN:
        return _BOOLEANS.get(one_line(text).casefold(), text)
    return text


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_OPTIONAL: dict[str, tuple[Callable[[Any], bool], str]] = {
    "description": (lambda value: isinstance(value, str), "a text"),
    "images": (_is_texts, "a list of texts"),
    "requested": (_is_texts, "a list of attribute names"),
    "cluster": (lambda value: isinstance(value, str | int), "a text"),
    "catalog": (lambda value: isinstance(value, dict), "an object of attribute to its values"),
}


class Names:
    """Names that are looked up as they are meant: `mugs ` is `Mugs`, where that is the only one."""

    def __init__(self, known: Sequence[str]) -> None:
        self._spellings = Spellings(known)
        self._found: dict[str, str | None] = {}

    def find(self, written: str) -> str | None:
        """The known name that is meant, or None."""
        if written in self._spellings.exact:
            return written
        if written not in self._found:
            self._found[written] = None if is_cut(written) else self._spellings.find(written)
        return self._found[written]
