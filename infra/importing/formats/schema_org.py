"""schema.org's Product as JSON-LD: alone, in a graph, an object a line, or in pages of HTML.

Variants of a `ProductGroup` have what the group says. Where a product in a page has no category,
the page's breadcrumbs are it. Offers, prices and reviews are left out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

from infra.importing.delimited import find_encoding, open_bytes
from infra.importing.errors import ImportFault
from infra.importing.formats.form import Format
from infra.importing.formats.roles import Columns
from infra.importing.map import AttributeColumn, ColumnRoles, ImportMap
from infra.importing.records import ITEM

_SCRIPT = re.compile(
    r"<script[^>]*type\s*=\s*[\"']?application/ld\+json[\"']?[^>]*>(.*?)</script\s*>",
    re.DOTALL | re.IGNORECASE,
)
_PRODUCTS = (
    "Product",
    "IndividualProduct",
    "ProductModel",
    "SomeProducts",
    "Vehicle",
    "ProductGroup",
)
_ROLES = ("id", "group", "category", "title", "description", "images")
_IDS = ("sku", "productID", "gtin", "gtin13", "gtin14", "gtin12", "gtin8", "mpn", "@id", "url")
_TEXTS = {
    "color": "Color", "material": "Material", "size": "Size", "pattern": "Pattern",
    "model": "Model", "brand": "Brand", "manufacturer": "Manufacturer", "mpn": "MPN",
    "gtin": "GTIN", "gtin13": "GTIN", "gtin14": "GTIN", "gtin12": "GTIN", "gtin8": "GTIN",
    "countryOfOrigin": "Country of Origin", "width": "Width", "height": "Height",
    "depth": "Depth", "weight": "Weight", "audience": "Audience",
    "award": "Award", "keywords": "Keywords", "releaseDate": "Release Date",
    "productionDate": "Production Date", "itemCondition": "Condition",
}  # fmt: skip
# UN/CEFACT's codes, which `unitCode` has: https://unece.org/trade/uncefact/cl-recommendations
_UNITS = {
    "MMT": "mm", "CMT": "cm", "MTR": "m", "KMT": "km", "INH": "in", "FOT": "ft", "GRM": "g",
    "KGM": "kg", "MGM": "mg", "LBR": "lb", "ONZ": "oz", "LTR": "l", "MLT": "ml", "CLT": "cl",
    "WTT": "W", "KWT": "kW", "VLT": "V", "AMP": "A", "HTZ": "Hz", "CEL": "°C", "SEC": "s",
    "MIN": "min", "HUR": "h", "BAR": "bar", "KWH": "kWh", "2N": "dB", "MTK": "m²", "P1": "%",
}  # fmt: skip


def _sniff(head: bytes) -> bool:
    begin = head.lstrip(b"\xef\xbb\xbf").lstrip()[:1]
    if begin == b"<":
        return re.search(rb"application/ld\+json", head) is not None or b"<html" in head.lower()
    return (
        begin in (b"{", b"[")
        and b'"@type"' in head
        and re.search(rb"schema\.org|Product", head) is not None
    )


def _preset(columns: Columns) -> ImportMap:
    roles = {role: f"product.{role}" for role in _ROLES if f"product.{role}" in columns}
    roles.setdefault("category", "=Products")
    return ImportMap(
        columns=ColumnRoles(**roles),
        attributes={
            name: AttributeColumn(column=name)
            for name in columns
            if not name.startswith("product.")
        },
    )


def _flatten(path: Path) -> Iterator[dict[str, str]]:
    encoding, _ = find_encoding(path)
    with open_bytes(path) as file:
        first = file.readline().decode(encoding, "replace").strip()
        second = file.readline().strip()
    if first.startswith("{") and first.endswith("}") and second.startswith(b"{"):
        yield from _lines(path, encoding)
        return
    with open_bytes(path) as file:
        text = file.read().decode(encoding, "replace").lstrip("\ufeff")
    blocks = [text] if text.lstrip()[:1] in "{[" else _SCRIPT.findall(text)
    nodes = [node for block in blocks for node in _nodes(_loads(block))]
    if not any(_is(node, *_PRODUCTS) for node in nodes):
        raise ImportFault(f"{path}: has no Product as JSON-LD; give a page or a file that has one")
    yield from _products(nodes)


def _lines(path: Path, encoding: str) -> Iterator[dict[str, str]]:
    with open_bytes(path) as file:
        for line in file:
            yield from _products(list(_nodes(_loads(line.decode(encoding, "replace")))))


def _loads(text: str) -> Any:
    """JSON as pages have it: maybe escaped or in a CDATA; what is broken is nothing."""
    bare = re.sub(r"^\s*(?://)?\s*<!\[CDATA\[|(?://)?\s*\]\]>\s*$", "", text.strip())
    for candidate in (bare, unescape(bare)):
        try:
            return json.loads(candidate, strict=False)
        except (ValueError, RecursionError):
            continue
    return None


def _nodes(content: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """All typed objects on the way to products: lists, graphs, item lists, main entities."""
    if depth > 8:
        return
    if isinstance(content, list):
        for item in content:
            yield from _nodes(item, depth + 1)
    elif isinstance(content, Mapping):
        if "@type" in content:
            yield content
        for key in ("@graph", "itemListElement", "item", "mainEntity", "mainEntityOfPage"):
            if key in content and not _is(content, "BreadcrumbList"):
                yield from _nodes(content[key], depth + 1)


def _is(node: Mapping[str, Any], *kinds: str) -> bool:
    own = node.get("@type")
    names = own if isinstance(own, list) else [own]
    return any(str(name).rpartition("/")[2].rpartition(":")[2] in kinds for name in names)


def _products(nodes: list[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    path = next((_crumbs(node) for node in nodes if _is(node, "BreadcrumbList")), [])
    for node in nodes:
        if not _is(node, *_PRODUCTS):
            continue
        variants = [v for v in _list(node.get("hasVariant")) if isinstance(v, Mapping)]
        shared = {k: v for k, v in node.items() if k not in ("hasVariant", "@type")}
        several: list[Mapping[str, Any]] = [{**shared, **variant} for variant in variants]
        for own in several or [node]:
            cells = _cells(own, node.get("productGroupID") if variants else None)
            if path and not cells["product.category"]:
                crumbs = path[:-1] if path[-1] == cells.get("product.title") else path
                cells["product.category"] = " > ".join(crumbs)
            yield {name: text for name, text in cells.items() if text}


def _crumbs(node: Mapping[str, Any]) -> list[str]:
    names = []
    for entry in _list(node.get("itemListElement")):
        if isinstance(entry, Mapping):
            inner = entry.get("item")
            names.append(_text(entry.get("name") or (inner if isinstance(inner, Mapping) else "")))
    return [
        n for n in names if n and n.casefold() not in ("home", "start", "startseite", "accueil")
    ]


def _cells(node: Mapping[str, Any], group: Any) -> dict[str, str]:
    parent = node.get("isVariantOf")
    if isinstance(parent, Mapping):
        group = group or parent.get("productGroupID") or parent.get("@id")
    cells = {
        "product.id": next((t for key in _IDS if (t := _text(node.get(key)))), ""),
        "product.group": _text(group or node.get("inProductGroupWithID")),
        "product.category": _text(node.get("category")).split(ITEM)[0],
        "product.title": _text(node.get("name")),
        "product.description": _text(node.get("description")),
        "product.images": ITEM.join(map(_address, _list(node.get("image")))),
    }
    for key, name in _TEXTS.items():
        if text := _text(node.get(key)):
            cells.setdefault(name, text)
    for entry in _list(node.get("additionalProperty")):
        name = _text(entry.get("name")) if isinstance(entry, Mapping) else ""
        if name and (text := _text({**entry, "name": None})):
            cells[name] = f"{cells[name]}{ITEM}{text}" if name in cells else text
    return cells


def _text(value: Any) -> str:
    """A value as a text: of a thing its name, of an amount number and unit."""
    if isinstance(value, list):
        return ITEM.join(text for item in value if (text := _text(item)))
    if isinstance(value, Mapping):
        amount = value.get("value")
        if amount is not None:
            code = str(value.get("unitCode") or "")
            unit = value.get("unitText") or _UNITS.get(code.upper(), "")
            return f"{_text(amount)} {unit}".strip()
        return _text(value.get("name") or value.get("@value") or "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value).strip()


def _address(image: Any) -> str:
    if isinstance(image, Mapping):
        return str(image.get("contentUrl") or image.get("url") or image.get("@id") or "")
    return str(image)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


SCHEMA_ORG = Format("schema_org", _preset, sniff=_sniff, flatten=_flatten)
