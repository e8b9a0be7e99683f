"""What the values of a sample show: kinds, list separators, the decimal mark, the date format.

Only what cannot be read otherwise is evidence. `1.234` says nothing; `1.5` says that dots are
before decimals.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from infra.importing.attributes import attribute_cells
from infra.importing.date_formats import DATE, date_formats
from infra.importing.map import AttributeColumn, ImportMap, Reasons
from infra.importing.names import NO_WORDS, YES_WORDS, bare_name
from infra.importing.records import ITEM
from infra.importing.surveying import Survey
from infra.importing.values import is_unit, mark_of, tidy
from schemas.numbers import Number, read_number

MOSTLY = 0.9
LEAST_CELLS = 3
SEPARATORS = ("|", ";")
LEAST_LISTS = 0.02
LONGEST_ITEM = 60
LONGEST_UNIT = 12
MOST_UNITS = 12
LONGEST_COUNT = 7
_LOCALES = {".": "en-US", ",": "de-DE"}
_IDENTIFIERS = re.compile(
    r"gtin|ean\d*$|upc|isbn|mpn|sku|asin|code|modell?|zip|plz|nummer$|number$"
)
_DATED = re.compile(r"date|datum|fecha")
_DAYS = re.compile(r"[2-5]\d{4}")
_FLAGS = re.compile(r"^(?:is|has|ist|hat|con|avec|mit)[_ A-Z]|able\b|\?$|fähig|bar\b")


@dataclass
class _Shown:
    """What is seen of one attribute."""

    cells: int = 0
    texts: list[str] = field(default_factory=list)
    has_unit: bool = False
    separators: Counter[str] = field(default_factory=Counter)


def with_evidence(import_map: ImportMap, survey: Survey) -> tuple[ImportMap, Reasons]:
    """`import_map` with what the sample shows of the values, where it says nothing; and why."""
    reasons: Reasons = {}
    shown = _look(import_map, survey)
    attributes = dict(import_map.attributes)
    units = dict(import_map.values.default_units)
    for name, seen in shown.items():
        spec = attributes.get(name) or AttributeColumn()
        spec, why = _described(name, spec, seen, import_map, name in units)
        if name in attributes or spec != AttributeColumn():
            attributes[name] = spec
            reasons["attributes", name] = f"in {seen.cells} of {len(survey.sample)} rows; {why}"
    values = import_map.values
    numbers = {n: s for n, s in shown.items() if n in attributes and attributes[n].kind == "number"}
    if not values.decimal_mark and numbers:
        mark, why, own = _decimal_mark(numbers)
        reasons["values", "decimal_mark"] = why
        values = values.model_copy(update={"decimal_mark": mark})
        for name, locale in own.items():
            attributes[name] = attributes[name].model_copy(update={"locale": locale})
    dates = {n: s for n, s in shown.items() if n in attributes and attributes[n].kind == "date"}
    if not values.date_format and dates:
        form, why, formats = date_formats({name: seen.texts for name, seen in dates.items()})
        reasons["values", "date_format"] = why
        values = values.model_copy(update={"date_format": form})
        for name, own_format in formats.items():
            attributes[name] = attributes[name].model_copy(update={"date_format": own_format})
    if any(spec.kind == "boolean" for spec in attributes.values()) and not values.true_words:
        words = {"true_words": (*YES_WORDS, "1"), "false_words": (*NO_WORDS, "0")}
        reasons["values", "true_words"] = "compared without letter case; other words are refused"
        values = values.model_copy(update=words)
    return import_map.model_copy(update={"attributes": attributes, "values": values}), reasons


def _look(import_map: ImportMap, survey: Survey) -> dict[str, _Shown]:
    shown: dict[str, _Shown] = {}
    given = attribute_cells(import_map, survey.columns)
    for row in survey.sample:
        for name, cell, unit in given(row.cells):
            seen = shown.setdefault(name, _Shown())
            seen.cells += 1
            seen.has_unit = seen.has_unit or bool(unit)
            text = tidy(cell.replace(ITEM, " | ")) if ITEM in cell else tidy(cell)
            if text:
                seen.texts.extend(
                    map(tidy, cell.split(ITEM))
                ) if ITEM in cell else seen.texts.append(text)
            for separator in SEPARATORS:
                items = cell.split(separator)
                if len(items) > 1 and all(0 < len(i.strip()) <= LONGEST_ITEM for i in items):
                    seen.separators[separator] += 1
    return shown


def _described(
    name: str, spec: AttributeColumn, seen: _Shown, import_map: ImportMap, unit: bool
) -> tuple[AttributeColumn, str]:
    """The attribute with kind and list separator, and why."""
    parts = []
    separator = spec.list_separator
    if separator is None and not import_map.values.list_separator:
        separator = _list_separator(seen)
        if separator:
            n = seen.separators[separator]
            parts.append(f"{n} cells have {separator!r} between short texts")
            spec = spec.model_copy(update={"list_separator": separator})
    separator = separator or import_map.values.list_separator
    items = [i.strip() for t in seen.texts for i in (t.split(separator) if separator else [t])]
    if spec.kind == "text" and len(items) >= LEAST_CELLS:
        kind, why = _kind(name, items, seen.has_unit or unit)
        parts.append(f"{kind}: {why}")
        spec = spec.model_copy(update={"kind": kind})
    commas = sum(", " in text for text in seen.texts)
    if commas and not separator and spec.kind == "text":
        parts.append(
            f"{commas} cells have commas and are one value each, unless list_separator "
            "says otherwise"
        )
    return spec, "; ".join(parts) or "as it stands"


def _list_separator(seen: _Shown) -> str | None:
    for separator in SEPARATORS:
        n = seen.separators[separator]
        if n >= 2 and n >= LEAST_LISTS * seen.cells:
            return separator
    return None


def _kind(name: str, items: Sequence[str], has_unit: bool) -> tuple[str, str]:
    words = {item.casefold() for item in items}
    if words <= _BOOLEAN:
        return "boolean", f"only {' and '.join(sorted(words))}"
    if words <= {"0", "1"} and _FLAGS.search(name):
        return "boolean", "only 0 and 1, and the name asks a question"
    if sum(DATE.fullmatch(item) is not None for item in items) >= MOSTLY * len(items):
        return "date", f"such as {items[0]!r}"
    if _DATED.search(bare_name(name)) and all(_DAYS.fullmatch(item) for item in items):
        return "date", f"named so, and numbers such as {items[0]!r} are days as spreadsheets count"
    if _IDENTIFIERS.search(bare_name(name)) and not has_unit:
        return "text", "named as an identifier, of which 007 is not 7"
    if any(re.match(r"0\d", item) for item in items):
        return "text", "some begin with a 0, as identifiers do"
    numbers = [n for item in items if (n := _number(item)) is not None]
    units = {number.unit for number in numbers}
    if len(numbers) >= MOSTLY * len(items) and len(units) <= MOST_UNITS:
        few = ", ".join(sorted(unit for unit in units if unit)[:5])
        return "number", f"{len(numbers)} of {len(items)} cells" + (f", in {few}" if few else "")
    return "text", f"such as {items[0][:40]!r}"


_BOOLEAN = frozenset(word.casefold() for word in (*YES_WORDS, *NO_WORDS)) - {"on", "x"}


def _number(item: str) -> Number | None:
    mark = mark_of(item)
    found = read_number(item, _LOCALES["." if mark in ("", "?") else mark])
    if not isinstance(found, Number) or len(found.unit) > LONGEST_UNIT or found.unit.count(" ") > 1:
        return None
    if not is_unit(found.unit):
        return None
    digits = found.written.lstrip("-")
    return None if digits.isdecimal() and len(digits) > LONGEST_COUNT else found


def _decimal_mark(numbers: dict[str, _Shown]) -> tuple[str, str, dict[str, str]]:
    """The mark of all, why, and where the columns differ the locale of each that shows one."""
    examples: dict[str, str] = {}
    by_column: dict[str, Counter[str]] = {}
    for name, seen in numbers.items():
        own = by_column[name] = Counter()
        for text in _items(seen):
            if mark := mark_of(text):
                own[mark] += 1
                examples.setdefault(mark, text[:40])
    total = sum(by_column.values(), Counter[str]())
    doubtful = total["?"]
    in_doubt = f"{doubtful} cells such as {examples.get('?')!r} can be read in two ways"
    if total["."] and total[","]:
        pure = {
            name: _LOCALES["." if own["."] else ","]
            for name, own in by_column.items()
            if bool(own["."]) != bool(own[","])
        }
        return (
            "",
            (
                f"both marks are there: {total['.']} cells such as {examples['.']!r}, "
                f"{total[',']} such as {examples[',']!r}; a column that shows one has a locale, "
                f"{in_doubt} and are refused in the others"
            ),
            pure,
        )
    for mark in (".", ","):
        if total[mark]:
            why = f"{total[mark]} cells such as {examples[mark]!r} have no other reading, and none"
            return (
                mark,
                f"{why} has the other mark" + (f"; {in_doubt}, this way" if doubtful else ""),
                {},
            )
    if doubtful:
        return "", f'{in_doubt}, and nothing says which: they are refused; write "." or ","', {}
    return "", "no number has a mark", {}


def _items(seen: _Shown) -> Iterator[str]:
    for text in seen.texts:
        yield from re.split(r"[|;]", text)
