"""Akeneo's product export: `name-en_US`, `description-en_US-ecommerce`, `weight` and `weight-unit`.

Of an attribute in several languages and channels the first column in the first language of the file
is taken. A family, or else the first category, is the category. Prices (`price-EUR`) are left out.
"""

import re
from collections import defaultdict

from infra.importing.formats.form import Format
from infra.importing.formats.roles import Columns, Names
from infra.importing.map import AttributeColumn, ColumnRoles, ImportMap, Skipped, ValueRules

_OWN = (
    "sku", "identifier", "uuid", "family", "family_variant", "parent", "categories", "enabled",
    "groups", "code",
)  # fmt: skip
_SCOPED = re.compile(
    r"(?P<name>[A-Za-z0-9_]+?)-(?:(?P<locale>[a-z]{2,3}_[A-Z]{2})(?:-(?P<channel>\w+))?|(?P<only>\w+))"
)
_CURRENCY = re.compile(r"[A-Za-z0-9_]+?(?:-\w+)?-[A-Z]{3}")
_TITLES = ("name", "title", "label", "product_name", "erp_name")
_DESCRIPTIONS = ("description", "short_description", "long_description")
_IMAGE = re.compile(r"image|picture|photo|media")


def _recognise(columns: Columns) -> bool:
    names = Names(columns)
    return (
        names.has("family", "enabled", "categories")
        and names.find("sku", "identifier", "uuid") is not None
    )


def _preset(columns: Columns) -> ImportMap:
    names = Names(columns)
    by_attribute: dict[str, list[str]] = defaultdict(list)
    for column in columns:
        if column in _OWN or column.endswith("-unit") or _CURRENCY.fullmatch(column):
            continue
        scoped = _SCOPED.fullmatch(column)
        by_attribute[scoped["name"] if scoped else column].append(column)
    locale = _first_locale(columns)
    chosen = {name: _chosen(own, locale) for name, own in by_attribute.items()}
    title = next((chosen[name] for name in _TITLES if name in chosen), None)
    description = next((chosen[name] for name in _DESCRIPTIONS if name in chosen), None)
    images = tuple(column for name, column in chosen.items() if _IMAGE.search(name))
    attributes = {
        name: AttributeColumn(
            column=column,
            unit_column=f"{name}-unit" if f"{name}-unit" in columns else None,
            list_separator=",",
        )
        for name, column in chosen.items()
        if column not in (title, description, *images)
    }
    taken = {*chosen.values(), *_OWN, *(f"{name}-unit" for name in attributes)}
    return ImportMap(
        columns=ColumnRoles(
            id=names.find("sku", "identifier", "uuid"),
            group=names.find("parent"),
            category=names.find("family", "categories"),
            title=title,
            description=description,
            images=images or None,
        ),
        attributes=attributes,
        values=ValueRules(true_words=("1", "true"), false_words=("0", "false")),
        skip=Skipped(columns=tuple(name for name in columns if name not in taken)),
    )


def _first_locale(columns: Columns) -> str:
    found = (_SCOPED.fullmatch(column) for column in columns)
    return next((match["locale"] for match in found if match and match["locale"]), "")


def _chosen(columns: list[str], locale: str) -> str:
    """The column without a language, else the one in `locale`, else the first."""
    in_locale = (c for c in columns if (m := _SCOPED.fullmatch(c)) and m["locale"] == locale)
    plain = (c for c in columns if _SCOPED.fullmatch(c) is None)
    return next(plain, None) or next(in_locale, None) or columns[0]


AKENEO = Format("akeneo", _preset, recognise=_recognise)
