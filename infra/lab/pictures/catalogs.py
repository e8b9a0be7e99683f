"""The two catalogs, split by product and brand, with a picture of each product kept.

Split as in `infra.lab.experiment.data`: near-duplicate titles, a brand and a leading word stay on
one side, and what published runs held out is no test. A product whose picture cannot be had is left
out, since each test product is judged by its text, by its picture and by both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from infra.catalogs.catalog import Product
from infra.lab.experiment import data
from infra.lab.experiment.profiles import Sizes
from infra.lab.pictures.implicitave import read_implicitave
from schemas.category import CategorySchemas
from serving.errors import PictureRefused
from serving.pictures.checking import check
from serving.pictures.settings import LookingSettings
from serving.pictures.store import PictureStore
from trainer.data.dataset import Row

IMPLICITAVE = data.DataSet("implicitave", False)
FLIPKART = data.DATA_SETS[0]
CATALOGS = {one.name: one for one in (FLIPKART, IMPLICITAVE)}


@dataclass(frozen=True)
class Catalog:
    """A catalog, dealt out; every row has a text and a picture."""

    name: str
    products: int
    warnings: list[str]
    arrivals: list[Row]
    calibration: list[Row]
    test: list[Row]

    def sizes(self) -> dict[str, int]:
        """Part to its number of listings."""
        parts = {"arrivals": self.arrivals, "calibration": self.calibration, "test": self.test}
        return {name: len(rows) for name, rows in parts.items()}


def load(folder: Path, name: str, sizes: Sizes, looking: LookingSettings, edge: int) -> Catalog:
    """The catalog `name` below `folder`, its pictures kept in `looking.store`, `edge` px long.

    Raises:
        ListuneError: a catalog that cannot be used.
    """
    source = folder / name
    schemas, products, warnings = _read(folder, name)
    pictures = keep(source, products, looking, edge)
    seen = [product for product in products if product.product_id in pictures]
    if len(seen) < len(products):
        warnings = [*warnings, f"left out {len(products) - len(seen)} products without a picture"]
    parts = data.split(seen, schemas, sizes, data.heldout_before(CATALOGS[name]))
    images = {product.product_id: product.images[:1] for product in seen}

    def with_pictures(rows: Sequence[Row]) -> list[Row]:
        return [
            replace(
                row,
                listing=replace(row.listing, images=images[row.listing.listing_id]),
                pictures=(pictures[row.listing.listing_id],),
            )
            for row in rows
        ]

    return Catalog(
        name=name,
        products=len(seen),
        warnings=warnings,
        arrivals=with_pictures(parts.arrivals),
        # No round is judged here: what the split calls gate calibrates too.
        calibration=with_pictures([*parts.calibration, *parts.gate]),
        test=with_pictures(parts.test),
    )


def keep(
    folder: Path, products: Sequence[Product], looking: LookingSettings, edge: int
) -> Mapping[str, str]:
    """Product id to the hash of its first picture, which is kept; without those that have none."""
    store, found = PictureStore(looking.store), {}
    for product in products:
        if not product.images:
            continue
        try:
            file = (folder / product.images[0]).read_bytes()
            picture = check(file, edge, looking.max_bytes, looking.max_pixels)
        except (OSError, PictureRefused):
            continue
        store.write(picture)
        found[product.product_id] = picture.sha256
    return found


def _read(folder: Path, name: str) -> tuple[CategorySchemas, list[Product], list[str]]:
    if name == IMPLICITAVE.name:
        return read_implicitave(folder / name)
    return data.read(folder, CATALOGS[name])
