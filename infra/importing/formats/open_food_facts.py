"""Open Food Facts' export: tab-separated, without quotes; amounts of 100 g have no unit.

The English names of tags (`categories_en`) are taken where they are, else the tags without their
language. Of the nutrition columns those of 100 g are attributes.
"""

import re
from collections.abc import Iterator

from infra.importing.formats.form import Format, Rows
from infra.importing.formats.roles import Columns, Names
from infra.importing.map import AttributeColumn, ColumnRoles, ImportMap, Skipped, ValueRules
from infra.importing.reading import Row

CATEGORY = "listune category"
_LISTS = (
    ("brands", "Brand"), ("packaging", "Packaging"), ("labels_en", "Labels"),
    ("countries_en", "Countries"), ("allergens", "Allergens"), ("traces_en", "Traces"),
    ("additives_en", "Additives"), ("origins_en", "Origins"),
    ("food_groups_en", "Food Groups"),
)  # fmt: skip
_PLAIN = (
    ("quantity", "Quantity"), ("serving_size", "Serving Size"),
    ("nutriscore_grade", "Nutri-Score"), ("nova_group", "NOVA Group"),
    ("environmental_score_grade", "Environmental Score"), ("ecoscore_grade", "Eco-Score"),
)  # fmt: skip
_PER_100 = re.compile(r"(?P<name>.+)_100g")
_NO_AMOUNT = re.compile(r"nutrition-score|footprint|_score")
_UNITS = {"energy-kj": "kJ", "energy-kcal": "kcal", "energy": "kJ", "alcohol": "% vol"}


def _recognise(columns: Columns) -> bool:
    return {"code", "product_name"} <= set(columns) and bool(
        {"categories_tags", "categories_en", "energy_100g", "ingredients_text", "created_t"}
        & set(columns)
    )


def _preset(columns: Columns) -> ImportMap:
    names = Names(columns)
    attributes = {
        name: AttributeColumn(column=column, list_separator=",")
        for column, name in _LISTS
        if column in columns
    }
    attributes |= {
        name: AttributeColumn(column=column) for column, name in _PLAIN if column in columns
    }
    units: dict[str, str] = {}
    for column in columns:
        found = _PER_100.fullmatch(column)
        if found is not None and not _NO_AMOUNT.search(column):
            name = f"{found['name'].replace('-', ' ').replace('_', ' ')} per 100 g"
            attributes[name] = AttributeColumn(column=column, kind="number")
            units[name] = _UNITS.get(found["name"], "g")
    taken = {spec.column for spec in attributes.values()} | {"code", "product_name", "image_url"}
    return ImportMap(
        columns=ColumnRoles(
            id="code",
            category=CATEGORY,
            title="product_name",
            description=names.all("generic_name", "ingredients_text"),
            images=names.find("image_url"),
        ),
        attributes=attributes,
        values=ValueRules(default_units=units, decimal_mark="."),
        skip=Skipped(columns=tuple(name for name in columns if name not in taken)),
    )


def _prepare(rows: Rows) -> Iterator[Row]:
    """The last of a product's categories, which run from wide to narrow, is its category."""
    for row in rows():
        cells = dict(row.cells)
        listed = next(
            (cells[n] for n in ("categories_en", "categories_tags", "categories") if cells.get(n)),
            "",
        )
        narrow = listed.rpartition(",")[2].strip()
        if narrow:
            language, colon, name = narrow.partition(":")
            cells[CATEGORY] = name.replace("-", " ") if colon and len(language) == 2 else narrow
        yield row._replace(cells=cells)


OPEN_FOOD_FACTS = Format("open_food_facts", _preset, recognise=_recognise, prepare=_prepare)
