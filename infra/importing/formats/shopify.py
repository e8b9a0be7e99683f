"""Shopify's product export, of before and after its columns were renamed.

A product is several rows of one handle: only the first has title, description and type, the others
have a variant each, or nothing but a picture. A row with a variant is a product here; all have what
the first row says, and all pictures.
"""

import re
from collections.abc import Iterator
from itertools import groupby

from infra.importing.formats.form import Format, Rows
from infra.importing.formats.roles import Columns, Names
from infra.importing.map import AttributeColumn, ColumnRoles, ImportMap, Pairs, Skipped
from infra.importing.reading import Row
from infra.importing.records import ITEM

HANDLE = ("Handle", "URL handle")
_OF_VARIANT = re.compile(
    r"(?i)variant |option\d value|^(?:sku|barcode|price|weight value|compare-at price|inventory"
    r"|cost)"
)
_IMAGES = ("Image Src", "Product image URL")
_VARIANT_IMAGE = ("Variant Image", "Variant image URL")
_METAFIELD = re.compile(r"(?i)(?P<name>.+?) \((?:product|variant)\.metafields\.(?P<key>[^)]+)\)")
_GOOGLE = re.compile(r"(?i)Google Shopping / (?P<name>Gender|Age Group|Condition|Custom Product)")
_OPTIONS = (("Option{n} name", "Option{n} value"), ("Option{n} Name", "Option{n} Value"))
ID = "listune id"
"""A column that is made: a variant's SKU, or the handle and its place."""
CATEGORY = "listune category"
"""A column that is made: Shopify's category, or else the type that the shop calls it."""
_CATEGORIES = ("Product Category", "Product category", "Standard Product Type", "Type",
               "Custom Product Type")  # fmt: skip


def _recognise(columns: Columns) -> bool:
    names = Names(columns)
    return names.find(*HANDLE) is not None and (
        names.has("Variant SKU", "Option1 Name") or names.has("Option1 name", "SKU")
    )


def _preset(columns: Columns) -> ImportMap:
    names = Names(columns)
    attributes = names.attributes([("Vendor", "Vendor"), ("Barcode", "Barcode")])
    attributes |= names.attributes([("Variant Barcode", "Barcode")])
    for column in names.columns:
        found = _METAFIELD.fullmatch(column)
        if found is not None and found["name"] not in attributes:
            attributes[found["name"]] = AttributeColumn(column=column, list_separator="; ")
        google = _GOOGLE.fullmatch(column)
        if google is not None and google["name"] not in ("Condition", "Custom Product"):
            attributes[google["name"]] = AttributeColumn(column=column)
    roles = ColumnRoles(
        id=ID,
        group=names.find(*HANDLE),
        category=CATEGORY if CATEGORY in columns else "=Products",
        title=names.find("Title"),
        description=names.find("Body (HTML)", "Body HTML", "Description"),
        images=names.find(*_IMAGES),
    )
    name, value = _OPTIONS["Option1 Name" in columns]
    taken = {spec.column for spec in attributes.values()}
    rest = [c for c in columns if c not in taken and not c.lower().startswith("option")]
    return ImportMap(
        columns=roles,
        attributes=attributes,
        pairs=(Pairs(name_column=name, value_column=value, list_separator=""),),
        skip=Skipped(columns=tuple(c for c in rest if c not in set(_roles(roles)))),
    )


def _roles(roles: ColumnRoles) -> Iterator[str]:
    for name in type(roles).model_fields:
        source = getattr(roles, name)
        if isinstance(source, str):
            yield source


def _prepare(rows: Rows) -> Iterator[Row]:
    """Each variant with what its product says, in the order of the file."""
    for handle, family in groupby(rows(), key=lambda row: _first(row.cells, HANDLE)):
        if handle:
            yield from _variants(handle, list(family))
        else:
            yield from family


def _variants(handle: str, rows: list[Row]) -> Iterator[Row]:
    product = {n: c for n, c in rows[0].cells.items() if not _OF_VARIANT.search(n)}
    if category := _first(product, _CATEGORIES):
        product[CATEGORY] = category
    images = [image for row in rows if (image := _first(row.cells, _IMAGES))]
    variants = [row for row in rows if any(map(_OF_VARIANT.search, row.cells)) or row.fault]
    for number, row in enumerate(variants or rows[:1], 1):
        cells = {**product, **row.cells}
        own = _first(row.cells, _VARIANT_IMAGE)
        column = next((name for name in _IMAGES if name in product), _IMAGES[0])
        if images or own:
            cells[column] = ITEM.join(dict.fromkeys([*([own] if own else []), *images]))
        # A product without options has one that is called so.
        for name in [n for n in cells if cells[n] == "Default Title"]:
            del cells[name]
        sku = _first(row.cells, ("Variant SKU", "SKU"))
        cells[ID] = sku or (handle if number == 1 else f"{handle}-{number}")
        yield row._replace(cells=cells)


def _first(cells: dict[str, str], names: tuple[str, ...]) -> str:
    return next((cells[name].strip() for name in names if name in cells), "")


SHOPIFY = Format("shopify", _preset, recognise=_recognise, prepare=_prepare)
