"""A cell as an attribute's values: split, on one line, numbers with a dot, booleans yes and no,
dates as YYYY-MM-DD.

What can be read in two ways is refused until the map says which: `1.234`, `03/04/2024`. What is
read is written so that the plain rule of `schemas.numbers` reads it as the same.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache

from infra.importing.map import AttributeColumn, Kind, ValueRules
from infra.importing.names import NO_WORDS, YES_WORDS
from infra.importing.records import ITEM
from infra.importing.rejected import LONGEST_SHOWN
from schemas.markup import without_markup
from schemas.numbers import Number, read_number
from schemas.texts import HALF_CHARACTER, is_cut, one_line
from schemas.values import NO, YES

_LOCALES = {".": "en-US", ",": "de-DE"}
_NUMBER = re.compile(r"[+\-\u2212]?\s*(\d[\d.,]*)")
_TWO_READINGS = re.compile(r"(?!0)\d{1,3}[.,]\d{3}")
_GROUPS = re.compile(r"(?<=\d)[\u00a0\u202f\u2009'\u2019](?=\d{3}(?!\d))")
_THREE_DECIMALS = re.compile(r"-?(?!0\.)\d{1,3}\.\d{3}")
_MARKUP = re.compile(r"<[A-Za-z/!?]|&(?:#|\w{2,32};)")
_BLOCK = re.compile(r"</?(?:p|br|div|ul|ol|li|h[1-6]|td|tr|table)\s?/?>", re.IGNORECASE)
_INLINE = re.compile(r"</?(?:b|i|em|strong|span|u|small)>", re.IGNORECASE)
_REFERENCES = (("&nbsp;", "\u00a0"), ("&quot;", '"'), ("&#39;", "'"), ("&amp;", "&"))
_REFERENCE = re.compile(r"&(?:#|\w{2,32};)")
_SHORTENED = re.compile(r"[+-]?\d(?:[.,]\d{1,5})?E\+\d\d")
_ERRORS = frozenset(("#REF!", "#DIV/0!", "#NAME?", "#VALUE!", "#NUM!", "#NULL!"))
_DAYS = re.compile(r"\d{5}")
# `m2` and `g/m2`, but no `:9` and no `-bit`.
_UNIT = re.compile(r"(?=[^\W\d_]|[%‰°'\"′″$€£¥])(?:[^\d:;|,+]|(?<=[a-zA-Z])[23](?!\d))*")
_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ]\d{2}:\d{2}.*)?", re.DOTALL)


class Unreadable(ValueError):
    """A value that is refused; the message says why, and what the map may say."""


@dataclass(frozen=True)
class Fault:
    """A value that was left out, and why."""

    value: str
    reason: str


def tidy(text: str, strip_html: bool = True) -> str:
    """`text` as products have it: without markup, on one line, in Unicode's form NFC."""
    if strip_html and ("<" in text or "&" in text) and _MARKUP.search(text):
        text = _without_plain_tags(text) or without_markup(text)
    return one_line(text.replace(ITEM, " ") if ITEM in text else text)


def _without_plain_tags(text: str) -> str | None:
    """What `without_markup` makes of the markup that most exports have, ten times as fast; None
    where there is other markup, too."""
    shown = _INLINE.sub("", _BLOCK.sub(" ", text))
    for reference, character in _REFERENCES:
        shown = shown.replace(reference, character)
    return None if "<" in shown or _REFERENCE.search(shown) else shown


def spoiled(text: str) -> str | None:
    """Why nobody can take a cell for what it was, which a spreadsheet has lost; None where it is
    whole."""
    if text[:1] == "#" and text in _ERRORS:
        return "is the error of a spreadsheet's formula; mend it there"
    if "E+" in text and _SHORTENED.fullmatch(text):
        return "is a long number that a spreadsheet has shortened; write all of its digits"
    return None


def is_unit(text: str) -> bool:
    """Whether what stands behind a number may be its unit, or there is nothing."""
    return not text or _UNIT.fullmatch(text) is not None


def mark_of(text: str) -> str:
    """The decimal mark that a number shows: `.`, `,`, nothing, or `?` where it may be either."""
    found = _NUMBER.match(text)
    if found is None:
        return ""
    body = found[1].rstrip(".,")
    dots, commas = body.count("."), body.count(",")
    if not dots and not commas:
        return ""
    if _TWO_READINGS.fullmatch(body):
        return "?"
    if dots and commas:
        return "." if body.rfind(".") > body.rfind(",") else ","
    if dots + commas > 1:  # only groups come more than once
        return "," if dots else "."
    return "." if dots else ","


class ValueReader:
    """Reads the cells of one attribute."""

    def __init__(self, attribute: AttributeColumn, rules: ValueRules, unit: str = "") -> None:
        own = attribute.list_separator
        self._separator = rules.list_separator if own is None else own
        self._unit = unit
        self._html = rules.strip_html
        self._locale = attribute.locale or _LOCALES.get(rules.decimal_mark)
        own_dates = attribute.date_format
        self._date_format = rules.date_format if own_dates is None else own_dates
        words = (rules.true_words, rules.false_words)
        yes, no = words if any(words) else (YES_WORDS, NO_WORDS)
        self._booleans = _booleans(yes, no)
        self._is_number = attribute.kind == "number"
        self._read = _READ[attribute.kind]

    def read(self, cell: str, unit: str = "") -> tuple[list[str], list[Fault]]:
        """The values in `cell`, each once, and those that are refused."""
        values: dict[str, None] = {}
        faults: list[Fault] = []
        for part in self._parts(cell):
            if is_cut(part):
                shown = part.encode("utf-8", "replace").decode()
                faults.append(Fault(shown[:LONGEST_SHOWN], HALF_CHARACTER))
                continue
            if self._is_number:
                part = _GROUPS.sub("", part)  # before all white space becomes the same
            text = tidy(part, self._html)
            if not text:
                continue
            try:
                if (reason := spoiled(text)) is not None:
                    raise Unreadable(reason)
                values[self._read(self, text, unit or self._unit)] = None
            except Unreadable as error:
                faults.append(Fault(text[:LONGEST_SHOWN], str(error)))
        return list(values), faults

    def _parts(self, cell: str) -> list[str]:
        if self._separator and self._separator in cell:
            cell = cell.replace(self._separator, ITEM)
        return cell.split(ITEM) if ITEM in cell else [cell]

    def _text(self, text: str, unit: str) -> str:
        return f"{text} {unit}" if unit and text[-1].isdigit() else text

    def _number(self, text: str, unit: str) -> str:
        if text.isdecimal() and text.isascii():
            return f"{text} {unit}" if unit else text
        locale = self._locale
        if locale is None:
            mark = mark_of(text)
            if mark == "?":
                raise Unreadable(
                    "is one number with a decimal dot and another with a decimal comma; set "
                    '[values] decimal_mark to "." or ","'
                )
            locale = _LOCALES[mark or "."]
        number = read_number(text, locale)
        if isinstance(number, Number):
            if not is_unit(number.unit):
                return text
            written = _with_dot(number, locale)
            return f"{written} {number.unit or unit}".rstrip()
        if number.reason == "ambiguous_number":
            raise Unreadable(f"{number.says}, as the map has it; mend the value or the map")
        return text  # a range, dimensions, a word: the schema will say whether it is a value

    def _boolean(self, text: str, unit: str) -> str:
        meant = self._booleans.get(text.casefold())
        if meant is None:
            raise Unreadable(
                "is neither of [values] true_words nor of false_words; add it, or make the "
                "attribute's kind text"
            )
        return meant

    def _date(self, text: str, unit: str) -> str:
        iso = _ISO.fullmatch(text)
        try:
            if iso is not None:
                return date.fromisoformat(iso[1]).isoformat()
            if self._date_format:
                return datetime.strptime(text, self._date_format).date().isoformat()
        except ValueError:
            wanted = self._date_format or "YYYY-MM-DD"
            raise Unreadable(
                f"is no date of the form {wanted}; mend the value or [values] date_format"
            ) from None
        if _DAYS.fullmatch(text):
            raise Unreadable(
                "is a spreadsheet's count of days; format the column as dates there, and export "
                "it again"
            )
        raise Unreadable(
            'can be read in several ways; set [values] date_format, such as "%d/%m/%Y"'
        )


_READ: dict[Kind, Callable[[ValueReader, str, str], str]] = {
    "text": ValueReader._text,
    "number": ValueReader._number,
    "boolean": ValueReader._boolean,
    "date": ValueReader._date,
}


@cache
def _booleans(yes: tuple[str, ...], no: tuple[str, ...]) -> dict[str, str]:
    return {word.casefold(): NO for word in no} | {word.casefold(): YES for word in yes}


def _with_dot(number: Number, locale: str) -> str:
    from schemas.numbers import decimal_mark

    written = number.written.replace(decimal_mark(locale), ".")
    # Of three decimals the plain rule cannot say whether they are a group.
    return f"{written}0" if _THREE_DECIMALS.fullmatch(written) else written
