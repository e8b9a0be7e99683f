"""Numbers as sellers write them: `1,200.5 mm`, `½ in`, `−5 ℃`, and in German `1.200,5 mm`.

A number is read before anything is taken off it, and only where it has one reading:

- With a locale its decimal mark and its groups hold, and no others.
- Without one the *plain rule* holds: a dot is the decimal mark and commas part groups of three
  digits. `0,339` and `1,5` are no such groups, and `1.200` is 1200 to every second reader: they are
  refused, with what to write instead.

A range and the dimensions of a thing are no number, and are refused by their names.
"""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from schemas.texts import plain

MOST_DIGITS = 40
# What a vulgar fraction is written with: ⅓ has no end.
DECIMALS = 6


@dataclass(frozen=True)
class Number:
    """A number: its value, how it is written (no groups, `decimal` of its locale), its unit as it
    stands there, maybe empty."""

    value: Fraction
    written: str
    unit: str


@dataclass(frozen=True)
class Unread:
    """Why a text is no number: a short word, and what to say after the text itself."""

    reason: str
    says: str


@dataclass(frozen=True)
class _Notation:
    """How digits are grouped and where decimals begin."""

    decimal: str
    whole: re.Pattern[str]  # digits, in groups or not
    ambiguous: re.Pattern[str] | None
    example: str


_MINUS = frozenset("\u2212\ufe63\uff0d")
_MARKS = {"\uff0c": ",", "\uff0e": ".", "\uff0b": "+", "\uff07": "'"}
_ARABIC_DECIMAL, _ARABIC_GROUP = "\u066b", "\u066c"
_SPACES = " \u00a0\u202f\u2009"
_APOSTROPHES = "'\u2019"
_TOKEN = re.compile(
    rf"(?P<sign>[+-]?)(?P<body>(?:\d|[.,{_ARABIC_DECIMAL}](?=\d))"
    rf"(?:\d|[.,{_ARABIC_DECIMAL}{_ARABIC_GROUP}{_APOSTROPHES}{_SPACES}](?=\d))*)?"
    rf"(?:[{_SPACES}]?(?P<vulgar>[¼-¾⅐-⅞↉]))?(?P<rest>.*)",
    re.DOTALL,
)
_FRACTION = re.compile(r"/\s*\d")
_RANGE = re.compile(r"(?:[-\u2010-\u2015~…]|\.\.|\b(?:to|bis|until|through)\b)\s*[+-]?[\d.,]")
_DIMENSIONS = re.compile(r"(?:^|\s|\d|(?<=[^\W\d]))(?:[x×*]|\bby\b)\s*[\d.,]", re.IGNORECASE)


def read_number(text: str, locale: str | None = None) -> Number | Unread:
    """The number that `text` is, by the rules of `locale` or by the plain one."""
    text = text.strip()
    token = _TOKEN.fullmatch(text if text.isascii() else _with_plain_digits(text))
    if token is None or not (token["body"] or token["vulgar"]):
        return Unread("no_number", "is no number; write digits, such as 1200.5")
    unit = plain(token["rest"])
    if _FRACTION.match(unit):
        return Unread("no_number", "is a fraction; write decimals, such as 0.5")
    if _RANGE.search(unit):
        return Unread(
            "range", "is a range; make the attribute a text, or two attributes (from and to)"
        )
    if _DIMENSIONS.search(unit):
        return Unread(
            "dimensions",
            "has several dimensions; make the attribute a text, or one attribute for each",
        )
    body = token["body"] or "0"
    if len(body) > MOST_DIGITS:
        return Unread("no_number", f"has more than {MOST_DIGITS} digits; write a shorter number")
    notation = _notation(locale)
    if (digits := _digits(body, notation)) is None:
        return Unread("ambiguous_number", f"can be read in several ways; {notation.example}")
    if token["vulgar"]:
        if "." in digits:
            return Unread("no_number", "has decimals and a fraction; write one of them")
        digits = _with_vulgar(digits, token["vulgar"])
    value = Fraction(digits)
    if token["sign"] == "-" and value:
        value, digits = -value, f"-{digits}"
    return Number(value, _unambiguous(digits, notation), unit)


def _with_plain_digits(text: str) -> str:
    """Digits of every script, full-width marks and minus signs, as ASCII has them. What is raised
    or in a circle (`5²`) is no digit."""
    return "".join(
        str(unicodedata.decimal(c))
        if unicodedata.category(c) == "Nd"
        else "-"
        if c in _MINUS
        else _MARKS.get(c, c)
        for c in text
    )


def _digits(body: str, notation: _Notation) -> str | None:
    """`body` with a dot and without groups; None where it has no reading, or more than one."""
    body = body.replace(_ARABIC_DECIMAL, notation.decimal)
    if notation.ambiguous is not None and notation.ambiguous.fullmatch(body):
        return None
    whole, mark, decimals = body.partition(notation.decimal)
    if mark and not (decimals.isdigit() and decimals.isascii()):
        return None
    if (whole or not mark) and not notation.whole.fullmatch(whole):
        return None
    integer = re.sub(r"\D", "", whole) or "0"
    return f"{integer}.{decimals}" if mark else integer


def _with_vulgar(whole: str, vulgar: str) -> str:
    value = Fraction(unicodedata.numeric(vulgar)).limit_denominator(100)
    decimals = f"{float(value):.{DECIMALS}f}".partition(".")[2].rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


def _unambiguous(digits: str, notation: _Notation) -> str:
    written = digits.replace(".", notation.decimal)
    if notation.ambiguous is not None and notation.ambiguous.fullmatch(written.lstrip("-")):
        return written + "0"
    return written


@lru_cache(maxsize=256)
def _notation(locale: str | None) -> _Notation:
    if locale is None:
        return _Notation(
            decimal=".",
            whole=_whole(",", (3, 3)),
            ambiguous=re.compile(r"(?!0\.)\d{1,3}\.\d{3}"),
            example="write digits without groups and with another number of decimals than three "
            "(1200, 1.2), or give the schema its `locale`",
        )
    from babel import Locale, numbers

    known = Locale.parse(locale, sep="-" if "-" in locale else "_")
    decimal = numbers.get_decimal_symbol(known, numbering_system="latn")
    group = numbers.get_group_symbol(known, numbering_system="latn")
    return _Notation(
        decimal=decimal,
        whole=_whole(group, known.decimal_formats[None].grouping),
        ambiguous=None,
        example=f"the locale {locale} writes 1200{decimal}5 or 1{group}200{decimal}5",
    )


def number_expression(locale: str | None) -> str:
    """The regular expression of a number as it is written here, without its sign.

    Without a locale `1.200` has two readings: one to three digits have no three decimals.
    """
    mark = re.escape(decimal_mark(locale))
    if locale is not None:
        return f"[0-9]{{1,12}}(?:{mark}[0-9]{{1,{DECIMALS}}})?"
    any_, but_three = (
        f"{mark}[0-9]{{1,{DECIMALS}}}",
        f"{mark}(?:[0-9]{{1,2}}|[0-9]{{4,{DECIMALS}}})",
    )
    return f"(?:0(?:{any_})?|[0-9]{{1,3}}(?:{but_three})?|[0-9]{{4,12}}(?:{any_})?)"


def decimal_mark(locale: str | None) -> str:
    """What stands before the decimals: a dot, or a comma."""
    return _notation(locale).decimal


def _whole(group: str, sizes: tuple[int, int]) -> re.Pattern[str]:
    """Digits without groups, or in groups: the last of `sizes[0]` digits, the others of
    `sizes[1]`; the first begins with no 0."""
    same = next((kind for kind in (_SPACES, _APOSTROPHES) if group in kind), group)
    mark = f"[{re.escape(same)}{_ARABIC_GROUP}]"
    last, others = sizes
    grouped = rf"[1-9]\d{{0,{others - 1}}}(?:{mark}\d{{{others}}})*{mark}\d{{{last}}}"
    return re.compile(rf"\d+|{grouped}")
