"""Google Merchant Center's feeds: TSV with a header, RSS 2.0 and Atom.

`product_detail` (section, name and value) becomes attributes of its names; prices, shipping and
labels of campaigns are left out.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from infra.importing.formats.form import Format, Rows
from infra.importing.formats.roles import Columns, Names, plain
from infra.importing.formats.xml import elements, local
from infra.importing.map import ColumnRoles, ImportMap, Pairs, Skipped
from infra.importing.reading import Row
from infra.importing.records import ITEM

_ATTRIBUTES = (
    ("brand", "Brand"), ("gtin", "GTIN"), ("mpn", "MPN"), ("color", "Color"), ("size", "Size"),
    ("material", "Material"), ("pattern", "Pattern"), ("gender", "Gender"),
    ("age group", "Age Group"), ("size type", "Size Type"), ("size system", "Size System"),
    ("product length", "Length"), ("product width", "Width"), ("product height", "Height"),
    ("product weight", "Weight"), ("unit pricing measure", "Content"),
    ("energy efficiency class", "Energy Efficiency Class"), ("multipack", "Multipack"),
    ("is bundle", "Is Bundle"), ("adult", "Adult"),
)  # fmt: skip
_DETAIL = "product_detail"
CATEGORY = "listune category"
"""A column that is made: the shop's own category; where it says none, Google's."""


def _recognise(columns: Columns) -> bool:
    names = Names(columns)
    return names.has("id", "title", "link", "image link") and (
        names.has("price") or names.has("availability")
    )


def _sniff(head: bytes) -> bool:
    return b"http://base.google.com/ns/1.0" in head and b"<" in head[:10]


def _preset(columns: Columns) -> ImportMap:
    names = Names(columns)
    attributes = names.attributes(_ATTRIBUTES)
    for name in ("Color", "Material"):  # several parts of one thing: `red/blue`
        if name in attributes:
            attributes[name] = attributes[name].model_copy(update={"list_separator": "/"})
    taken = {spec.column for spec in attributes.values()}
    return ImportMap(
        columns=ColumnRoles(
            id=names.find("id"),
            group=names.find("item group id"),
            category=CATEGORY if CATEGORY in columns else "=Products",
            title=names.find("title"),
            description=names.find("description"),
            images=names.all("image link", "additional image link"),
        ),
        attributes=attributes,
        pairs=(Pairs(name_column=f"{_DETAIL} {{n}} name", value_column=f"{_DETAIL} {{n}} value"),),
        skip=Skipped(
            columns=tuple(c for c in columns if c not in taken and not c.startswith(_DETAIL))
        ),
    )


def _with_category(cells: dict[str, str]) -> dict[str, str]:
    named = {plain(name): cell for name, cell in cells.items()}
    found = named.get("product type") or named.get("google product category")
    return cells | {CATEGORY: found} if found else cells


def _flatten(path: Path) -> Iterator[dict[str, str]]:
    for item in elements(path, ("item", "entry")):
        cells: dict[str, str] = {}
        for child in item:
            name = local(child)
            if name == _DETAIL:
                cells |= _detail(child, sum(n.startswith(_DETAIL) for n in cells) // 2 + 1)
            elif len(child) == 0 and (text := _content(child)):
                cells[name] = f"{cells[name]}{ITEM}{text}" if name in cells else text
        yield _with_category(cells)


def _content(child: Element) -> str:
    return (child.text or child.get("href") or "").strip()  # Atom's link is an attribute


def _detail(child: Element, number: int) -> dict[str, str]:
    parts = {local(part): (part.text or "").strip() for part in child}
    name, value = parts.get("attribute_name"), parts.get("attribute_value")
    return _pair(number, name, value) if name and value else {}


def _pair(number: int, name: str, value: str) -> dict[str, str]:
    return {f"{_DETAIL} {number} name": name, f"{_DETAIL} {number} value": value}


def _prepare(rows: Rows) -> Iterator[Row]:
    """In a table a detail is `section:name:value`, and several are parted by commas."""
    for row in rows():
        cells = dict(row.cells)
        column = next((n for n in (_DETAIL, "product detail") if n in cells), None)
        if column is not None:
            number = 0
            for item in cells.pop(column).replace(ITEM, ",").split(","):
                parts = item.split(":")
                if len(parts) >= 3:
                    number += 1
                    cells |= _pair(number, parts[1].strip(), ":".join(parts[2:]).strip())
        yield row._replace(cells=_with_category(cells))


GOOGLE_MERCHANT = Format("google_merchant", _preset, recognise=_recognise, prepare=_prepare)
GOOGLE_MERCHANT_XML = Format("google_merchant_xml", _preset, sniff=_sniff, flatten=_flatten)
