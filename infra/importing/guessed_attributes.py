"""Guessed attributes: pairs of columns, cells of several, and a column each with its unit."""

import re
from collections import defaultdict
from collections.abc import Sequence

from infra.importing.candidates import Candidates
from infra.importing.map import AttributeColumn, Cells, Pairs
from infra.importing.names import bare_name, readable, without_locale, without_prefix
from schemas.units import scale, usual

LISTED = 0.5
MOSTLY_NUMBERS = 0.8
_BARE_NUMBER = re.compile(r"\s*[+-]?[\d.,]*\d\s*$")
_UNIT_WORDS = ("unitofmeasure", "units", "unit", "einheit", "unite", "unidad", "unita", "uom", "me")
_HEADER_UNIT = re.compile(r"(?P<name>.+?)\s*[(\[](?:in\s+)?(?P<unit>[^()\[\]]{1,12})[)\]]$")
_NAME_WORDS = (
    "name", "names", "label", "key", "title", "attribute", "property", "feature", "option", "spec",
    "eigenschaft", "merkmal", "attribut", "nom", "caracteristique", "nombre", "atributo", "nome",
    "attributo", "naam", "kenmerk",
)  # fmt: skip
# Longer words first: `Werte` is not `Wert` and an e.
_VALUE_WORDS = (
    "values", "value", "werte", "wert", "valeurs", "valeur", "valores", "valori", "valore", "valor",
    "waarden", "waarde", "val",
)  # fmt: skip


def pairs_of(table: Candidates) -> tuple[Pairs, ...]:
    """Numbered columns, some with names and some with values."""
    templates: dict[str, set[str]] = defaultdict(set)
    for name in table.left:
        for found in re.finditer(r"\d+", name):
            templates[f"{name[: found.start()]}{{n}}{name[found.end() :]}"].add(found[0])
    cores = {template: bare_name(template.replace("{n}", "")) for template in templates}
    for value, core in cores.items():
        word = next((w for w in _VALUE_WORDS if w in core), None)
        if word is None:
            continue
        rest = core.replace(word, "", 1)
        for name, other in cores.items():
            names = {other} | {other.replace(w, "", 1) for w in _NAME_WORDS if w in other}
            if name == value or rest not in names or not any(w in other for w in _NAME_WORDS):
                continue
            unit = next(
                (u for u, c in cores.items() if u not in (name, value)
                 and any(c.replace(w, "", 1) == rest for w in _UNIT_WORDS if w in c)), "",
            )  # fmt: skip
            for pattern in (name, value, unit):
                for number in templates.get(pattern, ()):
                    table.left.pop(pattern.replace("{n}", number), None)
            table.reasons["pairs",] = "numbered columns of names and of values"
            return (Pairs(name_column=name, value_column=value, unit_column=unit),)
    return ()


def cells_of(table: Candidates) -> tuple[Cells, ...]:
    """Columns of which nearly all cells are lists of `name=value`."""
    found = []
    for name in [name for name in table.left if table.filled(name) >= LISTED]:
        best = max(
            ((_items(table.cells[name], s, e), s, e) for s in ",;|\n" for e in "=:"),
            key=lambda scored: scored[0],
        )
        if best[0] > 0:
            del table.left[name]
            found.append(Cells(columns=(name,), item_separator=best[1], equals=best[2]))
            table.reasons["cells",] = "nearly all cells are lists of a name and a value"
    return tuple(found)


def _items(cells: Sequence[str], separator: str, equals: str) -> int:
    """How many items the cells have, if nearly all of these are a name and a value; else 0."""
    names: list[str] = []
    items = lists = 0
    for cell in cells:
        parts = [part for part in cell.split(separator) if part.strip()]
        lists += len(parts) > 1
        items += len(parts)
        for part in parts:
            name, found, value = part.partition(equals)
            if found and value.strip() and 0 < len(name.strip()) <= 40 and "//" not in value[:2]:
                names.append(name.strip())
    recurring = len(set(names)) <= max(1, 0.5 * len(names)) or len(names) < 10
    return items if lists > 1 and len(names) >= 0.9 * items and recurring else 0


def attributes_of(table: Candidates) -> tuple[dict[str, AttributeColumn], dict[str, str]]:
    """The columns that are left, with units from a second column or from the header."""
    attributes: dict[str, AttributeColumn] = {}
    units: dict[str, str] = {}
    unit_of = _unit_columns(table)
    for column in table.left:
        if column in unit_of.values():
            continue
        localised = without_locale(column)
        stem = localised[0] if localised and _is_kept(table, column) else column
        header = _HEADER_UNIT.fullmatch(stem)
        unit = header["unit"] if header is not None and _is_amount(table, column) else None
        if unit is None or header is None or scale(unit) is None or unit_of.get(column):
            names = [stem]
        else:
            names = [header["name"], stem]
        pretty = [readable(name) for name in names]
        # Two columns may differ in what is made pretty only.
        name = next(n for n in (*pretty, without_prefix(stem), column) if n not in attributes)
        if unit and name == pretty[0] and len(names) > 1:
            units[name] = usual(unit)
        locale = localised[1] if localised and name != column and "-" in localised[1] else None
        attributes[name] = AttributeColumn(
            column=column, unit_column=unit_of.get(column), locale=locale
        )
    return attributes, units


def _is_amount(table: Candidates, column: str) -> bool:
    """Whether the cells are numbers without a unit: `Color(s)` is not in seconds."""
    return table.share(column, _BARE_NUMBER) >= MOSTLY_NUMBERS


def _is_kept(table: Candidates, column: str) -> bool:
    """Whether `column` is the one language that was kept of several."""
    stem = (without_locale(column) or ("", ""))[0]
    return any((without_locale(name) or (None,))[0] == stem for name in table.skipped)


def _unit_columns(table: Candidates) -> dict[str, str]:
    """Column of amounts to the column of their units."""
    by_name = {bare_name(name): name for name in table.left}
    found: dict[str, str] = {}
    for bare, name in by_name.items():
        for word in _UNIT_WORDS:
            stem = bare.removesuffix(word) if bare.endswith(word) else bare.removeprefix(word)
            if stem != bare and stem in by_name and by_name[stem] != name:
                found.setdefault(by_name[stem], name)
                break
    return found
