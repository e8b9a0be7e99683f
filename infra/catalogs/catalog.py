"""A catalog: products with the values that sellers know, read from JSONL.

A line is an object with `product_id`, `category`, `title` and, where there are any, `description`,
`images`, `catalog` (attribute to a value or a list of values), `requested` (attribute names) and
`cluster` (offers of one product). A wrong line, and a value that the schema refuses, is left out
and told of as `Rejected`; `strict` stops at the first wrong line. What the schema does not know,
and a picture that is not there, is left out and counted in a warning. `images` are files below the
catalog's folder, named from there, or URIs of other schemes, which are not looked up.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
from infra.importing.rejected import Rejected
from schemas.aliases import in_force
from schemas.category import Attribute, CategorySchema
from schemas.events import ValueLists
from schemas.values import SEPARATOR, is_valid, mend, problem
from serving.errors import PictureUnavailable
from serving.pictures.addresses import file_path, scheme_of
from serving.pictures.addresses import shown as shown_uri

__all__ = [
    "CatalogError",
    "Product",
    "Reading",
    "listing_row",
    "read_catalog",
    "read_products",
    "write_catalog",
]

REFUSED = "values that the schema refuses"
WRONG = "lines that are no product"
NOT_THERE = "images that are no files in the catalog's folder"
MOST_REJECTED = 0.1
"""The share of a catalog's lines that may be wrong: where it is more, not single products are
wrong but what wrote the file."""
Schemas = Mapping[str, CategorySchema]


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


@dataclass
class Reading:
    """What was read of a catalog.

    lines: those that are not empty. wrong: those that are no product. refused: values that were
    left out. first: of either, how the first one reads.
    """

    path: Path
    products: list[Product] = field(default_factory=list)
    lines: int = 0
    wrong: int = 0
    refused: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    hints: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """A sentence for each kind of thing that was left out or is written otherwise."""
        counts = self.dropped + Counter({REFUSED: self.refused, WRONG: self.wrong})
        said = [f"left out {n} {what}{self._first(what)}" for what, n in sorted(counts.items())]
        said += [
            f"{n} times {what} are written otherwise than in the schema and taken as meant"
            f"{self._first(what)}"
            for what, n in sorted(self.hints.items())
        ]
        return [f"{self.path.name}: {sentence}" for sentence in said]

    def check(self, most_rejected: float = MOST_REJECTED) -> None:
        """See whether the catalog is of use.

        Raises:
            CatalogError: more than this share (0 to 1) of the lines is wrong, or no product is
                left.
        """
        if self.wrong > most_rejected * self.lines:
            raise CatalogError(
                f"{self.path}: {self.wrong} of {self.lines} lines are no product"
                f"{self._first(WRONG)}, and at most {most_rejected:.0%} may be; mend the file"
            )
        if not self.products:
            raise CatalogError(
                f"{self.path}: no product is of a category of the schema; check that they match"
            )

    def _first(self, what: str) -> str:
        return f" (the first: {self.first[what]})" if what in self.first else ""


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
        self._categories = Names(list(self._schemas))
        self._seen: dict[str, int] = {}
        # Of a category's attributes, by all their names.
        self._attributes = cache(lambda category: Names(list(self._schemas[category].by_any_name)))

    def read(self, number: int, line: bytes) -> None:
        """One line: a product, or none."""
        reading = self.reading
        reading.lines += 1
        identity: str | None = None
        try:
            entry = read_entry(line)
            identity = entry["product_id"]
            before = self._seen.setdefault(identity, number)
            if before != number:
                raise LineFault(
                    f"product_id {identity!r} stands in line {before} already; give each product "
                    "an id of its own"
                )
        except LineFault as fault:
            self._stop_where_strict(number, str(fault))
            reading.wrong += 1
            reading.first.setdefault(WRONG, f"line {number}, {fault}")
            self._told(Rejected(reading.path.name, number, identity, None, None, str(fault)))
            return
        category = self._categories.find(entry["category"])
        if category is None:
            reading.dropped["products of categories that the schema lacks"] += 1
            return
        self._hint("categories", number, entry["category"], category)
        schema = self._schemas[category]
        product = self._product(number, entry, schema)
        if schema.select(product.requested):
            reading.products.append(product)
        else:
            reading.dropped["products of which no attribute is asked for"] += 1

    def _product(self, number: int, entry: Entry, schema: CategorySchema) -> Product:
        cluster = entry.get("cluster")
        return Product(
            product_id=entry["product_id"],
            category=schema.category,
            title=entry["title"],
            description=entry.get("description") or "",
            truth=self._truth(number, entry, schema),
            images=self._images(number, entry),
            requested=self._requested(entry.get("requested"), schema),
            cluster=None if cluster is None else str(cluster),
        )

    def _images(self, number: int, entry: Entry) -> tuple[str, ...]:
        """Those that may be there."""
        reading = self.reading
        images, missing = _pictures(entry.get("images") or (), reading.path.parent)
        if missing:
            reading.dropped[NOT_THERE] += len(missing)
            reading.first.setdefault(NOT_THERE, f"line {number}, {shown_uri(missing[0])}")
        return tuple(images)

    def _truth(self, number: int, entry: Entry, schema: CategorySchema) -> ValueLists:
        truth: ValueLists = {}
        for name, given in in_force(schema, self._named(number, entry, schema)).items():
            attribute = schema.by_name.get(name)
            if attribute is None:
                self.reading.dropped["values of attributes that their category lacks"] += 1
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
                self.reading.dropped["values that stand for none, such as N/A"] += 1
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
                self._hint("attributes", number, written, meant)
                found[meant] = value
        return found

    def _requested(self, requested: Any, schema: CategorySchema) -> tuple[str, ...] | None:
        if requested is None:
            return None
        names = self._attributes(schema.category)
        known = tuple(found for name in requested if (found := names.find(name)))
        if len(known) < len(requested):
            self.reading.dropped["requested attributes that their category lacks"] += len(
                requested
            ) - len(known)
        return known

    def _refuse(
        self,
        number: int,
        entry: Entry,
        attribute: Attribute,
        schema: CategorySchema,
        fault: Fault,
    ) -> None:
        reading, name = self.reading, attribute.name
        reading.refused += 1
        reading.first.setdefault(REFUSED, f"line {number}, attribute {name!r}: {fault.reason}")
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

    def _hint(self, of_what: str, number: int, written: str, meant: str) -> None:
        if written != meant:
            self.reading.hints[of_what] += 1
            self.reading.first.setdefault(of_what, f"line {number}, {written!r} for {meant!r}")

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
