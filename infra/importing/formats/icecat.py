"""Icecat's CSV of data sheets: `Specs 1`, `Specs 2`, …, each of which is `Name: value`.

A spec without a colon is the heading of a section. A row that Icecat did not find has an
`ErrorMessage`, and is no product.
"""

import re
from collections.abc import Iterator

from infra.importing.formats.form import Format, Rows
from infra.importing.formats.roles import Columns, Names
from infra.importing.map import AttributeColumn, Cells, ColumnRoles, ImportMap, Skipped
from infra.importing.reading import Row

_SPEC = re.compile(r"Specs? \d+")
_PLAIN = (
    ("Supplier", "Brand"), ("Prod_id", "Model Number"), ("GTIN(EAN/UPC)", "GTIN"),
    ("ProductFamily", "Product Family"), ("ProductSeries", "Product Series"), ("Model", "Model"),
    ("EU Energy Label", "EU Energy Label"),
)  # fmt: skip


def _recognise(columns: Columns) -> bool:
    return {"Prod_id", "Supplier", "HighPic"} <= set(columns)


def _preset(columns: Columns) -> ImportMap:
    names = Names(columns)
    attributes: dict[str, AttributeColumn] = names.attributes(_PLAIN)
    attributes.pop("EU Energy Label", None)
    roles = ColumnRoles(
        id=names.find("Icecat_id", "Requested_Icecat_id", "Prod_id"),
        category="Category",
        title=names.find("ProductTitle", "ShortSummaryDescription", "ShortDesc"),
        description=names.find("LongDesc", "LongSummaryDescription", "ShortDesc"),
        images=names.all("HighPic", "ProductGallery"),
    )
    specs = tuple(name for name in columns if _SPEC.fullmatch(name))
    taken = {spec.column for spec in attributes.values()} | set(specs)
    return ImportMap(
        columns=roles,
        attributes=attributes,
        cells=(Cells(columns=specs, item_separator="", equals=":"),) if specs else (),
        skip=Skipped(columns=tuple(name for name in columns if name not in taken)),
    )


def _prepare(rows: Rows) -> Iterator[Row]:
    for row in rows():
        error = row.cells.get("ErrorMessage", "")
        yield row._replace(fault=f"was not found by Icecat: {error}") if error else row


ICECAT = Format("icecat", _preset, recognise=_recognise, prepare=_prepare)
