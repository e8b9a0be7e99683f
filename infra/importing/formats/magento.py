"""Magento's (Adobe Commerce's) product export.

A configurable product names its variants in `configurable_variations`, after their rows; so the
file is gone through twice, first for the families. Rows of a store view are translations of rows
before, and are left out. `additional_attributes` is `color=Blue,size=L|XL`.
"""

import re
from collections.abc import Iterator

from infra.importing.formats.form import Format, Rows
from infra.importing.formats.roles import Columns, Names
from infra.importing.map import AttributeColumn, Cells, ColumnRoles, ImportMap, Skipped, ValueRules
from infra.importing.reading import Row
from infra.importing.records import ITEM
from infra.importing.seen import Seen

PARENT = "listune parent"
_VARIANT = re.compile(r"(?:^|\|)\s*sku=([^,|]+)")


def _recognise(columns: Columns) -> bool:
    return {"sku", "attribute_set_code", "product_type"} <= set(columns)


def _preset(columns: Columns) -> ImportMap:
    names = Names(columns)
    attributes: dict[str, AttributeColumn] = {}
    if "weight" in columns:
        attributes["weight"] = AttributeColumn(column="weight")
    roles = ColumnRoles(
        id="sku",
        group=PARENT,
        category=names.find("categories", "attribute_set_code"),
        title="name",
        description=names.all("short_description", "description"),
        images=names.all("base_image", "additional_images"),
    )
    others = ("additional_attributes", "weight", "sku", "name", "categories")
    return ImportMap(
        columns=roles,
        attributes=attributes,
        cells=(Cells(columns=("additional_attributes",), list_separator="|"),),
        values=ValueRules(category_list_separator=",", category_path_separator="/"),
        skip=Skipped(columns=tuple(name for name in columns if name not in others)),
    )


def _prepare(rows: Rows) -> Iterator[Row]:
    with Seen() as families:
        for row in rows():
            for variant in _VARIANT.findall(row.cells.get("configurable_variations", "")):
                families.remember(variant.strip(), {"parent": row.cells.get("sku", "")})
        for row in rows():
            if row.cells.get("store_view_code"):
                continue
            cells = dict(row.cells)
            parent = families.parent(cells.get("sku", "").strip()).get("parent")
            if parent:
                cells[PARENT] = str(parent)
            if images := cells.get("additional_images"):
                cells["additional_images"] = images.replace(",", ITEM)
            yield row._replace(cells=cells)


MAGENTO = Format("magento", _preset, recognise=_recognise, prepare=_prepare)
