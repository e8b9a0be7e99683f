"""A catalog: products with the values that sellers know, read from JSONL.

A line is an object with `product_id`, `category`, `title` and, where there are any, `description`,
`images`, `catalog` (attribute to a value or a list of values), `requested` (attribute names) and
`cluster` (offers of one product). A wrong line stops the reading with one sentence; a value that
the schema does not know or refuses, and a picture that is not there, is left out and counted in a
warning. `images` are files below the catalog's folder, named from there, or URIs of other schemes,
which are not looked up.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.aliases import in_force
from schemas.category import Attribute, CategorySchema
from schemas.errors import ListuneError
from schemas.events import ValueLists
from schemas.texts import HALF_CHARACTER, is_cut_json
from schemas.values import is_valid, mend, problem
from serving.errors import PictureUnavailable
from serving.pictures.addresses import file_path, scheme_of, shown

REFUSED = "values that the schema refuses"
NOT_THERE = "images that are no files in the catalog's folder"
Schemas = Mapping[str, CategorySchema]


class CatalogError(ListuneError):
    """A catalog that cannot be used; names the file, the line and the fault."""


@dataclass(frozen=True)
class Product:
    """One product and the truth about it: the values that its seller knows.

    A missing attribute in `truth` is unlabelled, not negative. Several values of a single-valued
    attribute are alternative spellings. `requested` None asks for all of the category.
    """

    product_id: str
    category: str
    title: str
    description: str
    truth: ValueLists
    images: tuple[str, ...] = ()
    requested: tuple[str, ...] | None = None
    cluster: str | None = None

    def attributes(self, schemas: Schemas) -> tuple[Attribute, ...]:
        """The attributes that are asked for this product, in the schema's order."""
        return schemas[self.category].select(self.requested)


def read_catalog(
    path: Path, schemas: Schemas, alternatives: bool = False
) -> tuple[list[Product], list[str]]:
    """The products in the JSONL file `path`, and warnings about what was left out of it.

    Args:
        path: the catalog, UTF-8, a product a line; empty lines are skipped.
        schemas: what each category asks for.
        alternatives: several values of an attribute are spellings of one value.

    Raises:
        CatalogError: the file cannot be read, a line is wrong, or no product is left.
    """
    dropped: Counter[str] = Counter()
    first: dict[str, str] = {}
    products: list[Product] = []
    seen: dict[str, int] = {}
    known = {name: schema for schema in schemas.values() for name in schema.names}
    for number, line in _lines(path):
        entry = _entry(f"{path}, line {number}", line)
        identity = entry["product_id"]
        if identity in seen:
            raise CatalogError(
                f"{path}, line {number}: product_id {identity!r} stands in line {seen[identity]} "
                "already; give each product an id of its own"
            )
        seen[identity] = number
        schema = known.get(entry["category"])
        if schema is None:
            dropped["products of categories that the schema lacks"] += 1
            continue
        entry["images"], missing = _pictures(entry.get("images") or (), path.parent)
        product, refused = _product(entry, schema, alternatives, dropped)
        if refused is not None:
            first.setdefault(REFUSED, f" (the first: line {number}, {refused})")
        if missing:
            dropped[NOT_THERE] += len(missing)
            first.setdefault(NOT_THERE, f" (the first: line {number}, {shown(missing[0])})")
        if schema.select(product.requested):
            products.append(product)
        else:
            dropped["products of which no attribute is asked for"] += 1
    if not products:
        raise CatalogError(
            f"{path}: no product is of a category of the schema; check that they match"
        )
    return products, [
        f"{path.name}: left out {n} {what}{first.get(what, '')}"
        for what, n in sorted(dropped.items())
    ]


def listing_row(
    product: Product, schemas: Schemas, values: ValueLists, pictures: Sequence[str] = ()
) -> dict[str, Any]:
    """A row as the trainer reads it: the product, what is asked, and the `values` to learn.

    pictures: the hashes of what was seen of its images.
    """
    return {
        "listing_id": product.product_id,
        "category": product.category,
        "title": product.title,
        "description": product.description,
        "attributes": [a.model_dump(mode="json") for a in product.attributes(schemas)],
        "values": values,
        "images": list(product.images),
        "pictures": list(pictures),
    }


def write_catalog(path: Path, products: Iterable[Product]) -> None:
    """Write `products` as a catalog that `read_catalog` reads back."""
    with path.open("w", encoding="utf-8") as file:
        for product in products:
            entry = {
                "product_id": product.product_id,
                "category": product.category,
                "title": product.title,
                "description": product.description,
                "images": list(product.images),
                "catalog": product.truth,
                "requested": product.requested,
                "cluster": product.cluster,
            }
            kept = {name: value for name, value in entry.items() if value is not None}
            file.write(json.dumps(kept, ensure_ascii=False) + "\n")


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    try:
        content = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CatalogError(f"{path}, line {line}: is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}; give the path of a JSONL file") from error
    # Not splitlines: it also cuts at characters that JSON allows inside of a text.
    return [(n, line) for n, line in enumerate(content.split("\n"), 1) if line.strip()]


def _entry(where: str, line: str) -> dict[str, Any]:
    """The object on a line, with the fields that every product needs, of the right types."""
    try:
        entry = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        reason = f"{error.msg} (column {error.colno})" if isinstance(error, ValueError) else "deep"
        raise CatalogError(f"{where}: not JSON: {reason}; give one object a line") from error
    if not isinstance(entry, dict):
        raise CatalogError(f"{where}: is not an object; give one object a line")
    if is_cut_json(line):
        raise CatalogError(f"{where}: {HALF_CHARACTER}")
    for name in ("product_id", "category", "title"):
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            raise CatalogError(f"{where}: {name!r} should be a text that is not empty")
    for name, (check, wanted) in _OPTIONAL.items():
        if entry.get(name) is not None and not check(entry[name]):
            raise CatalogError(f"{where}: {name!r} should be {wanted}, or left out")
    return entry


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_value_lists(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(item, str) or _is_texts(item) for item in value.values()
    )


_OPTIONAL: dict[str, tuple[Callable[[Any], bool], str]] = {
    "description": (lambda value: isinstance(value, str), "a text"),
    "images": (_is_texts, "a list of texts"),
    "requested": (_is_texts, "a list of attribute names"),
    "cluster": (lambda value: isinstance(value, str | int), "a text"),
    "catalog": (_is_value_lists, "an object of attribute to a text or a list of texts"),
}


def _product(
    entry: dict[str, Any], schema: CategorySchema, alternatives: bool, dropped: Counter[str]
) -> tuple[Product, str | None]:
    """The product, and what is wrong with the first value that the schema refuses."""
    truth: ValueLists = {}
    refused: str | None = None
    for name, given in in_force(schema, entry.get("catalog") or {}).items():
        attribute = schema.by_name.get(name)
        if attribute is None:
            dropped["values of attributes that their category lacks"] += 1
            continue
        texts = [given] if isinstance(given, str) else given
        values = mend(attribute, texts)
        legal = _legal(attribute, values, alternatives)
        if legal:
            truth[name] = legal
        elif values:
            dropped[REFUSED] += 1
            told = problem(attribute, values[:1] if alternatives else values)
            refused = refused or f"attribute {name!r}: {told}"
        elif any(text.strip() for text in texts):
            dropped["values that stand for none, such as N/A"] += 1
    requested = entry.get("requested")
    if requested is not None:
        known = tuple(name for name in requested if schema.find(name))
        if len(known) < len(requested):
            dropped["requested attributes that their category lacks"] += len(requested) - len(known)
        requested = known
    cluster = entry.get("cluster")
    product = Product(
        product_id=entry["product_id"],
        category=schema.category,
        title=entry["title"],
        description=entry.get("description") or "",
        truth=truth,
        images=tuple(entry.get("images") or ()),
        requested=requested,
        cluster=None if cluster is None else str(cluster),
    )
    return product, refused


def _pictures(images: Sequence[str], folder: Path) -> tuple[list[str], list[str]]:
    """Those of `images` that may be there, and the files that are not below `folder`."""
    missing = [i for i in images if scheme_of(i) == "file" and not _is_file(i, folder)]
    return [image for image in images if image not in missing], missing


def _is_file(uri: str, folder: Path) -> bool:
    try:
        return file_path(uri, folder).is_file()
    except (PictureUnavailable, OSError):
        return False


def _legal(attribute: Attribute, values: Sequence[str], alternatives: bool) -> list[str]:
    """Those of the mended `values` that are legal; spellings are judged one by one, values all
    together."""
    if alternatives:
        return [value for value in values if is_valid(attribute, [value])]
    return list(values) if is_valid(attribute, values) else []
