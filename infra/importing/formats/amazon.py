"""Amazon's flat files and listing templates, as text or as Excel.

Above the header stand settings and labels in the seller's language; the header has the names that
Amazon's programs know. Older files say `item_weight` and `item_weight_unit_of_measure`, newer ones
`item_weight[marketplace_id=…]#1.value` and `…#1.unit`.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from infra.importing.formats.form import Format
from infra.importing.formats.roles import Columns
from infra.importing.map import AttributeColumn, ColumnRoles, ImportMap, Skipped, Source

_ID = ("item_sku", "sku", "contribution_sku")
_TITLE = ("item_name", "title")
_CATEGORY = (
    "item_type_keyword",
    "item_type",
    "feed_product_type",
    "product_type",
    "item_type_name",
)
_GROUP = ("parent_sku", "child_parent_sku_relationship")
_IMAGES = (
    "main_image_url", "main_product_image_locator", "other_image_url",
    "other_product_image_locator",
)  # fmt: skip
_TEXTS = ("product_description", "bullet_point")
_SKIPPED = re.compile(
    r"(?x) .*price.* | .*(?:image|swatch|_url|media_location).* | quantity | .*fulfil.* | currency"
    r" | .*(?:offer|sale|launch|release)_.* | update_delete | .*record_action | parent_child"
    r" | parentage(?:_level)? | relationship_type | variation_theme | generic_keywords?\d*"
    r" | search_terms\d* | .*tax_code | .*shipping.* | .*_id_type | ::.* | condition_.*"
    r" | .*restock.* | max_.*quantity | merchant_.* | .*audience_offer.* | external_product_id"
)
_NEW = re.compile(
    r"(?P<name>[\w.:]+?)(?:_(?P<index>\d+))?(?:\[[^\]]*\])*#(?P<number>\d+)\.(?P<field>.+)"
)
_NUMBERED = re.compile(r"(?P<name>.+?)_?(?P<index>\d{1,2})")


def _header(rows: Sequence[Sequence[str]]) -> int | None:
    for number, row in enumerate(rows, 1):
        names = {_plain(cell) for cell in row}
        if names & {"item_sku", "contribution_sku"} and "item_name" in names:
            return number
    return None


def _plain(column: str) -> str:
    """`item_name[…]#1.value` is `item_name`."""
    found = _NEW.fullmatch(column.strip())
    return found["name"] if found else column.strip()


def _recognise(columns: Columns) -> bool:
    names = {_plain(column) for column in columns}
    return "item_sku" in names and "item_name" in names


def _preset(columns: Columns) -> ImportMap:
    by_name: dict[str, list[str]] = defaultdict(list)
    units: dict[str, str] = {}
    for column in columns:
        name, is_unit = _attribute(column)
        if is_unit:
            units.setdefault(name, column)
        else:
            by_name[name].append(column)
    images: list[str] = []
    for start in _IMAGES:
        images += [c for name in by_name if name.startswith(start) for c in by_name[name]]
    roles = ColumnRoles(
        id=_first(by_name, _ID),
        group=_first(by_name, _GROUP),
        category=_first(by_name, _CATEGORY),
        title=_first(by_name, _TITLE),
        description=tuple(c for name in _TEXTS for c in by_name.get(name, ())) or None,
        images=tuple(images) or None,
    )
    own = {*_ID, *_TITLE, *_GROUP, *_TEXTS, *images}
    attributes: dict[str, AttributeColumn] = {}
    for name, several in by_name.items():
        if name in own or _SKIPPED.fullmatch(name) or several[0] in _columns(roles):
            continue
        attributes[name.replace("_", " ").replace(".", " ")] = AttributeColumn(
            column=several[0] if len(several) == 1 else tuple(several),
            unit_column=units.get(name) or units.get(_shared_unit(name)),
        )
    taken = {c for spec in attributes.values() for c in _list(spec.column)} | set(units.values())
    return ImportMap(
        columns=roles,
        attributes=attributes,
        skip=Skipped(columns=tuple(name for name in columns if name not in taken)),
    )


def _attribute(column: str) -> tuple[str, bool]:
    """The attribute that a column is of, and whether it has its unit."""
    found = _NEW.fullmatch(column)
    if found is not None:
        field = found["field"]
        inner = re.sub(r"(?:\[[^\]]*\])|(?:#\d+)", "", field)
        part = re.sub(r"\.?(?:value|unit|media_location|parent_sku|name)$", "", inner)
        name = found["name"] + (f".{part}" if part else "")
        return name, inner.endswith("unit")
    if column.endswith("_unit_of_measure"):
        return column.removesuffix("_unit_of_measure"), True
    numbered = _NUMBERED.fullmatch(column)
    return (numbered["name"] if numbered else column), False


def _shared_unit(name: str) -> str:
    """`item_length` has its unit in `item_dimensions_unit_of_measure`, as width and height."""
    stem, _, last = name.rpartition("_")
    return f"{stem}_dimensions" if last in ("length", "width", "height") else name


def _first(by_name: dict[str, list[str]], names: Sequence[str]) -> Source | None:
    return next((by_name[name][0] for name in names if name in by_name), None)


def _list(source: Source) -> tuple[str, ...]:
    return (source,) if isinstance(source, str) else source


def _columns(roles: ColumnRoles) -> set[str]:
    sources = (getattr(roles, name) for name in type(roles).model_fields)
    return {column for source in sources if source for column in _list(source)}


AMAZON = Format("amazon", _preset, recognise=_recognise, header=_header)
