"""A catalog: products with the values that sellers know, read from JSONL.

A line is an object with `product_id`, `category`, `title` and, where there are any, `description`,
`images`, `catalog` (attribute to a value or a list of values), `requested` (attribute names) and
`cluster` (offers of one product). A product with a picture needs no title. A wrong line, and a
value that the schema refuses, is left out and told of as `Rejected`; `strict` stops at the first
wrong line. What the schema does not know, and a picture that is not there, is left out and counted
in a warning. `images` are files below the catalog's folder, named from there, or URIs of other
schemes, which are not looked up.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from infra.catalogs.entries import (
    CatalogError,
    Entry,
    Fault,
    LineFault,
    Names,
    lines,
    read_entry,
    shown,
    texts_of,
)
from infra.catalogs.product import Product, Schemas, listing_row, write_catalog
from infra.catalogs.reading import (
    HALVES,
    MOST_REJECTED,
    NO_ATTRIBUTE,
    NO_CATEGORY,
    NOT_THERE,
    NOT_TO_REQUEST,
    NOTHING_ASKED,
    PLACEHOLDERS,
    REFUSED,
    SPELLED_ATTRIBUTES,
    SPELLED_CATEGORIES,
    WRONG,
    Reading,
)
from infra.importing.rejected import Rejected
from schemas.aliases import in_force
from schemas.category import Attribute, CategorySchema
from schemas.events import ValueLists
from schemas.values import SEPARATOR, is_valid, mend, problem
from serving.errors import PictureUnavailable
from serving.pictures.addresses import file_path, scheme_of
from serving.pictures.addresses import shown as shown_uri

__all__ = [
    "MOST_REJECTED",
    "CatalogError",
    "Product",
    "Reading",
    "listing_row",
    "read_catalog",
    "read_products",
    "write_catalog",
]


def read_catalog(
    path: Path,
    schemas: Schemas,
    alternatives: bool = False,
    strict: bool = False,
    most_rejected: float = MOST_REJECTED,
) -> tuple[list[Product], list[str]]:
    """The products in the JSONL file `path`, and warnings about what was left out of it.

    Args:
        path: the catalog, UTF-8, a product a line; empty lines are skipped.
        schemas: what each category asks for.
        alternatives: several values of an attribute are spellings of one value.
        strict: a wrong line stops the reading.
        most_rejected: the share of the lines that may be wrong, 0 to 1.

    Raises:
        CatalogError: the file cannot be read, too many lines are wrong, or no product is left.
    """
    reading = read_products(path, schemas, alternatives, strict)
    reading.check(most_rejected)
    return reading.products, reading.warnings


def read_products(
    path: Path,
    schemas: Schemas,
    alternatives: bool = False,
    strict: bool = False,
    told: Callable[[Rejected], object] = lambda rejected: None,
) -> Reading:
    """As `read_catalog`; `told` hears of each line and value that is left out as wrong.

    Raises:
        CatalogError: the file cannot be read, or it is `strict` and a line is wrong.
    """
    reader = _Reader(path, schemas, alternatives, strict, told)
    for number, line in lines(path):
        reader.read(number, line)
    return reader.reading


class _Reader:
    """Makes products of a catalog's lines, one after the other."""

    def __init__(
        self,
        path: Path,
        schemas: Schemas,
        alternatives: bool,
        strict: bool,
        told: Callable[[Rejected], object],
    ) -> None:
        self.reading = Reading(path)
        self._alternatives, self._strict, self._told = alternatives, strict, told
        self._schemas = {name: schema for schema in schemas.values() for name in schema.names}
        now = {schema.category for schema in schemas.values()}
        self._categories = Names(now, self._schemas.keys() - now)
        self._seen: dict[str, int] = {}
        self._attributes = cache(self._attributes_of)

    def _attributes_of(self, category: str) -> Names:
        schema = self._schemas[category]
        return Names(schema.by_name, schema.by_any_name.keys() - schema.by_name)

    def read(self, number: int, line: bytes) -> None:
        """One line: a product, or none."""
        self.reading.lines += 1
        identity: str | None = None
        try:
            entry, is_mended = read_entry(line)
            identity = entry["product_id"]
            self._see(identity, number)
            if is_mended:
                self.reading.mend(HALVES, f"line {number}")
            self._take(number, entry)
        except LineFault as fault:
            self._stop_where_strict(number, str(fault))
            self.reading.drop(WRONG, f"line {number}, {fault}")
            name = self.reading.path.name
            told = Rejected(name, number, identity or fault.product_id, None, None, str(fault))
            self._told(told)

    def _see(self, identity: str, number: int) -> None:
        before = self._seen.setdefault(identity, number)
        if before != number:
            raise LineFault(
                f"product_id {identity!r} stands in line {before} already; give each product an id "
                "of its own"
            )

    def _take(self, number: int, entry: Entry) -> None:
        reading, written = self.reading, entry["category"]
        category = self._categories.find(written)
        if category is None:
            reading.drop(NO_CATEGORY, f"line {number}, {shown(written)!r}")
            reading.unknown_categories[written] += 1
            return
        if written != category:
            reading.mend(SPELLED_CATEGORIES, f"line {number}, {written!r} for {category!r}")
        schema = self._schemas[category]
        product = self._product(number, entry, schema)
        if schema.select(product.requested):
            reading.products.append(product)
        else:
            reading.drop(NOTHING_ASKED, f"line {number}")

    def _product(self, number: int, entry: Entry, schema: CategorySchema) -> Product:
        images = self._images(number, entry)
        if not entry["title"] and not images:
            raise LineFault(
                "'title' should be a text that is not empty: no picture is there either"
            )
        return Product(
            product_id=entry["product_id"],
            category=schema.category,
            title=entry["title"],
            description=entry["description"],
            truth=self._truth(number, entry, schema),
            images=images,
            requested=self._requested(number, entry.get("requested"), schema),
            cluster=entry.get("cluster"),
        )

    def _images(self, number: int, entry: Entry) -> tuple[str, ...]:
        """Those that may be there."""
        images, missing = _pictures(entry.get("images") or (), self.reading.path.parent)
        if missing:
            self.reading.drop(NOT_THERE, f"line {number}, {shown_uri(missing[0])}", len(missing))
        return tuple(images)

    def _truth(self, number: int, entry: Entry, schema: CategorySchema) -> ValueLists:
        truth: ValueLists = {}
        for name, given in in_force(schema, self._named(number, entry, schema)).items():
            attribute = schema.by_name.get(name)
            if attribute is None:
                self.reading.drop(NO_ATTRIBUTE, f"line {number}, {shown(name)!r}")
                self.reading.unknown_attributes[schema.category, name] += 1
                continue
            texts, faults = texts_of(attribute, given)
            for fault in faults:
                self._stop_where_strict(number, f"attribute {name!r}: {fault.reason}")
                self._refuse(number, entry, attribute, schema, fault)
            values = mend(attribute, texts)
            legal = _legal(attribute, values, self._alternatives)
            if legal:
                truth[name] = legal
            elif values:
                judged = values[:1] if self._alternatives else values
                told = problem(attribute, judged) or ""
                fault = Fault(shown(SEPARATOR.join(judged)), told)
                self._refuse(number, entry, attribute, schema, fault)
            elif any(text.strip() for text in texts):
                self.reading.drop(PLACEHOLDERS, f"line {number}, attribute {name!r}")
        return truth

    def _named(self, number: int, entry: Entry, schema: CategorySchema) -> dict[str, Any]:
        """The entry's values by the names that the schema has; one that it lacks stays."""
        given: dict[str, Any] = entry.get("catalog") or {}
        names = self._attributes(schema.category)
        found = {name: value for name, value in given.items() if names.find(name) == name}
        for written, value in given.items():
            meant = names.find(written)
            if meant is None:
                found[written] = value
            elif meant != written and not found.get(meant):
                where = f"line {number}, {written!r} for {meant!r}"
                self.reading.mend(SPELLED_ATTRIBUTES, where)
                found[meant] = value
        return found

    def _requested(
        self, number: int, requested: Sequence[str] | None, schema: CategorySchema
    ) -> tuple[str, ...] | None:
        if requested is None:
            return None
        names = self._attributes(schema.category)
        for name in requested:
            if names.find(name) is None:
                self.reading.drop(NOT_TO_REQUEST, f"line {number}, {shown(name)!r}")
        return tuple(found for name in requested if (found := names.find(name)))

    def _refuse(
        self,
        number: int,
        entry: Entry,
        attribute: Attribute,
        schema: CategorySchema,
        fault: Fault,
    ) -> None:
        reading, name = self.reading, attribute.name
        reading.drop(REFUSED, f"line {number}, attribute {name!r}: {fault.reason}")
        self._told(
            Rejected(
                file=reading.path.name,
                line=number,
                product_id=entry["product_id"],
                attribute=name,
                value=fault.value,
                reason=fault.reason,
                category=schema.category,
            )
        )

    def _stop_where_strict(self, number: int, reason: str) -> None:
        if self._strict:
            raise CatalogError(f"{self.reading.path}, line {number}: {reason}")


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
