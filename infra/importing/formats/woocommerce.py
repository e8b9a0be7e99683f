"""WooCommerce's product export.

A variation names its parent by SKU or by `id:` and number, and has its parent's category,
description and pictures; the parent is a product of its own, with all values that its variations
have. Names of attributes stand in `Attribute 1 name`, values in `Attribute 1 value(s)`. A comma
inside of an item of a list is `\\,`, a line break in a text is `\\n`.
"""

import re
from collections.abc import Iterator

from infra.importing.formats.form import Format, Rows
from infra.importing.formats.roles import Columns, Names
from infra.importing.map import (
    AttributeColumn,
    ColumnRoles,
    ImportMap,
    Pairs,
    Skipped,
    ValueRules,
)
from infra.importing.reading import Row
from infra.importing.records import ITEM
from infra.importing.seen import Seen

_MEASURE = re.compile(r"(?P<name>Weight|Length|Width|Height) \((?P<unit>[^)]+)\)")
_SKIPPED = re.compile(r"Attribute \d+ (?:visible|global|default)|Meta: .*")
_COMMA = re.compile(r"(?<!\\),\s*")
_LINE_BREAK = re.compile(r"(?<!\\)\\n")
_TEXTS = ("Short description", "Description")


def _recognise(columns: Columns) -> bool:
    return Names(columns).has("SKU", "Name", "Type", "Categories") and any(
        name in columns for name in ("Visibility in catalog", "Tax status", "Attribute 1 name")
    )


def _preset(columns: Columns) -> ImportMap:
    names = Names(columns)
    attributes: dict[str, AttributeColumn] = {}
    units: dict[str, str] = {}
    for column in names.columns:
        measure = _MEASURE.fullmatch(column)
        if measure is not None:
            attributes[measure["name"]] = AttributeColumn(column=column, kind="number")
            units[measure["name"]] = measure["unit"]
    attributes |= names.attributes(
        [("Brands", "Brand"), ("GTIN, UPC, EAN, or ISBN", "GTIN, UPC, EAN, or ISBN")]
    )
    roles = ColumnRoles(
        id="SKU",
        group=names.find("Parent"),
        category="Categories",
        title="Name",
        description=names.all(*_TEXTS),
        images=names.find("Images"),
    )
    return ImportMap(
        columns=roles,
        attributes=attributes,
        pairs=(Pairs(name_column="Attribute {n} name", value_column="Attribute {n} value(s)"),),
        values=ValueRules(default_units=units),
        skip=Skipped(columns=tuple(name for name in columns if _SKIPPED.fullmatch(name))),
    )


def _prepare(rows: Rows) -> Iterator[Row]:
    """Rows whose ids and parents are SKUs, and whose lists are parted."""
    with Seen() as parents:
        for row in rows():
            cells = dict(row.cells)
            number, kind = cells.get("ID", ""), cells.get("Type", "")
            if not cells.get("SKU") and number:
                cells["SKU"] = f"id:{number}"
            if number and "variable" in kind:
                parents.remember(f"id:{number}", {"sku": cells["SKU"]})
            if (parent := cells.get("Parent", "")).startswith("id:"):
                cells["Parent"] = str(parents.parent(parent).get("sku", parent))
            for name, cell in cells.items():
                if name.endswith("value(s)"):
                    cells[name] = _COMMA.sub(ITEM, cell).replace("\\,", ",")
                elif name in _TEXTS:
                    cells[name] = _LINE_BREAK.sub("\n", cell).replace("\\\\", "\\")
            if paths := _COMMA.split(cells.get("Categories", "")):
                cells["Categories"] = max(paths, key=_depth).replace("\\,", ",")
            yield row._replace(cells=cells)


def _depth(path: str) -> int:
    return path.count(">")


WOOCOMMERCE = Format("woocommerce", _preset, recognise=_recognise, prepare=_prepare)
