"""ImplicitAVE (Zou et al. 2024): products with one attribute each, mostly seen and not read.

The catalog has no schema, but `options.json`: domain (food, home, clothing) to attribute to allowed
values. A category is of the domain whose options cover most of its products, and asks for what its
products have of that domain. Of a product only its one attribute is asked: of the others nobody
knows the value.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from infra.catalogs.catalog import CatalogError, Product, read_catalog
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas

OPTIONS = "options.json"

Options = Mapping[str, Mapping[str, Sequence[str]]]
"""Domain to attribute to allowed values."""

Given = tuple[str, str]
"""An attribute and a value that a product has of it."""


def read_implicitave(folder: Path) -> tuple[CategorySchemas, list[Product], list[str]]:
    """Schemas and products in `folder`, and warnings about what was left out.

    Raises:
        CatalogError: a file is missing or wrong.
    """
    listings = folder / "listings.jsonl"
    try:
        options: Options = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
        lines = listings.read_text(encoding="utf-8").split("\n")
        entries = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise CatalogError(
            f"{folder} cannot be read ({error}); give the folder of the catalogs with --data"
        ) from error
    given: defaultdict[str, list[Given]] = defaultdict(list)
    for entry in entries:
        given[entry["category"]] += ((n, v) for n, vs in entry["catalog"].items() for v in vs)
    schemas = CategorySchemas(schema(category, own, options) for category, own in given.items())
    products, warnings = read_catalog(listings, schemas)
    labelled = [product for product in products if product.truth]
    return schemas, [replace(p, requested=tuple(p.truth)) for p in labelled], warnings


def schema(category: str, given: Sequence[Given], options: Options) -> CategorySchema:
    """What `category` asks for, whose products have the values `given`."""
    covered = {
        domain: sum(value in asked.get(name, ()) for name, value in given)
        for domain, asked in options.items()
    }
    asked = options[max(covered, key=lambda domain: covered[domain])]
    names = Counter(name for name, value in given if value in asked.get(name, ()))
    return CategorySchema(
        category=category,
        attributes=tuple(
            Attribute(name=name, type=AttributeType.ENUM, values=tuple(asked[name]))
            for name in asked
            if name in names
        ),
    )
