"""A product of a catalog, as the others see it: the trainer as a row, a file as a line."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.category import Attribute, CategorySchema
from schemas.events import ValueLists

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
