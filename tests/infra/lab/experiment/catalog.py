"""A small catalog in the form of the real ones: two categories, brands, near-duplicates."""

import random
import string
from pathlib import Path

from infra.catalogs.catalog import Product
from infra.catalogs.catalog import write_catalog as write_products
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.sources.json_schema import write_schemas
from tests.builders import COLOURS, MATERIALS

BRANDS = 45
CATEGORIES = ("Kitchen > Mugs", "Office > Lamps")
ATTRIBUTES = (
    Attribute(name="Brand", type=AttributeType.TEXT),
    Attribute(name="Colour", type=AttributeType.ENUM, values=COLOURS),
    Attribute(name="Material", type=AttributeType.ENUM, values=MATERIALS),
    Attribute(name="Weight", type=AttributeType.NUMBER, units=("g", "kg")),
)
SCHEMAS = CategorySchemas(
    CategorySchema(category=name, attributes=ATTRIBUTES) for name in CATEGORIES
)


def make_products(count: int = 60, seed: int = 0) -> list[Product]:
    """The first brands have two products each; every fifth product has a twin of another brand."""
    rng = random.Random(seed)
    products = []
    for number in range(count):
        brand = f"Brand{number % BRANDS}"
        colour, material = rng.choice(COLOURS), rng.choice(MATERIALS)
        weight = f"{rng.randint(1, 900)} g"
        # A name that is like no other, else all would be near-duplicates.
        name = "".join(rng.choices(string.ascii_lowercase, k=20))
        title = f"{brand} {name} {colour} {material}"
        truth = {"Brand": [brand], "Colour": [colour], "Material": [material], "Weight": [weight]}
        category = CATEGORIES[number % 2]
        products.append(Product(f"p{number:03}", category, title, f"It weighs {weight}.", truth))
        if number % 5 == 0:
            twin = {**truth, "Brand": [f"Twin{number}"]}
            products.append(Product(f"t{number:03}", category, f"{title} new", "", twin))
    return products


def write_catalog(folder: Path) -> None:
    """The products and their schema as a catalog folder."""
    folder.mkdir(parents=True)
    write_schemas(folder / "schema.json", SCHEMAS)
    write_products(folder / "listings.jsonl", make_products())
