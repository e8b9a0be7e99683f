"""Small catalogs in the form of the real ones, each product with a drawn picture of its colour."""

import json
from dataclasses import replace
from pathlib import Path

from PIL import Image

from infra.catalogs.catalog import Product, write_catalog
from schemas.sources.json_schema import write_schemas
from tests.infra.lab.experiment.catalog import SCHEMAS, make_products

OPTIONS = {
    "Home": {
        "Colour": ["red", "blue", "green", "black", "white"],
        "Shape": ["Oval", "Round"],
    },
    "Food": {"Form": ["Powder"], "Colour": ["brown"]},
}


def write_flipkart(folder: Path) -> None:
    products = draw(folder, make_products())
    write_schemas(folder / "schema.json", SCHEMAS)
    write_catalog(folder / "listings.jsonl", products)


def write_implicitave(folder: Path) -> None:
    products = [
        replace(product, truth={"Colour": product.truth["Colour"]}, description="")
        for product in make_products(seed=1)
        if product.truth["Colour"][0] in OPTIONS["Home"]["Colour"]
    ]
    draw(folder, products)
    write_catalog(folder / "listings.jsonl", [with_picture(product) for product in products])
    (folder / "options.json").write_text(json.dumps(OPTIONS))


def draw(folder: Path, products: list[Product]) -> list[Product]:
    """`products` with a picture each, in `folder`."""
    (folder / "images").mkdir(parents=True)
    drawn = [with_picture(product) for product in products]
    for number, product in enumerate(drawn):
        # The number in a corner, since pictures that are alike are one.
        image = Image.new("RGB", (40, 30), product.truth["Colour"][0])
        image.putpixel((number % 40, number // 40), (number, number, number))
        image.save(folder / product.images[0])
    return drawn


def with_picture(product: Product) -> Product:
    return replace(product, images=(f"images/{product.product_id}.png",))
