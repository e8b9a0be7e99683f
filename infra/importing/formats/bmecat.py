"""BMEcat 1.2 and 2005: articles or products with their features.

The category is the feature group (ETIM or ECLASS), by its name where it has one. The catalog's own
groups are mapped in a part of the file that is not read.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from infra.importing.formats.form import Format
from infra.importing.formats.roles import Columns, Names
from infra.importing.formats.xml import elements, local
from infra.importing.map import ColumnRoles, ImportMap, Pairs, Skipped
from infra.importing.records import ITEM

_FIELDS = {
    "SUPPLIER_PID": "id", "SUPPLIER_AID": "id", "DESCRIPTION_SHORT": "title",
    "DESCRIPTION_LONG": "description", "MANUFACTURER_NAME": "Manufacturer",
    "MANUFACTURER_PID": "Manufacturer Number", "MANUFACTURER_AID": "Manufacturer Number",
    "EAN": "GTIN", "INTERNATIONAL_PID": "GTIN", "REFERENCE_FEATURE_GROUP_NAME": "category",
    "REFERENCE_FEATURE_GROUP_ID": "group id", "MIME_SOURCE": "images",
}  # fmt: skip
_ONCE = ("id", "title", "description", "category", "group id", "GTIN")
_ATTRIBUTES = (
    ("Manufacturer", "Manufacturer"), ("Manufacturer Number", "Manufacturer Number"),
    ("GTIN", "GTIN"),
)  # fmt: skip


def _sniff(head: bytes) -> bool:
    return b"<BMECAT" in head


def _preset(columns: Columns) -> ImportMap:
    names = Names(columns)
    return ImportMap(
        columns=ColumnRoles(
            id="id",
            category=names.find("category", "group id") or "=Products",
            title="title",
            description=names.find("description"),
            images=names.find("images"),
        ),
        attributes=names.attributes(_ATTRIBUTES),
        pairs=(
            Pairs(
                name_column="feature {n} name",
                value_column="feature {n} value",
                unit_column="feature {n} unit",
            ),
        ),
        skip=Skipped(),
    )


def _flatten(path: Path) -> Iterator[dict[str, str]]:
    for product in elements(path, ("PRODUCT", "ARTICLE")):
        cells: dict[str, str] = {}
        for part in product.iter():
            name = _FIELDS.get(local(part))
            text = (part.text or "").strip()
            if name and text and not (name in _ONCE and name in cells):
                cells[name] = f"{cells[name]}{ITEM}{text}" if name in cells else text
        features = (part for part in product.iter() if local(part) == "FEATURE")
        for number, feature in enumerate(features, 1):
            cells |= _feature(feature, number)
        yield cells


def _feature(feature: Element, number: int) -> dict[str, str]:
    values = [(p.text or "").strip() for p in feature if local(p) == "FVALUE"]
    others = {local(part): (part.text or "").strip() for part in feature}
    found = {
        "name": others.get("FNAME", ""),
        "value": ITEM.join(value for value in values if value),
        "unit": others.get("FUNIT", ""),
    }
    return {f"feature {number} {key}": text for key, text in found.items() if text}


BMECAT = Format("bmecat", _preset, sniff=_sniff, flatten=_flatten)
