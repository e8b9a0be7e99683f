"""The catalogs of the experiment, and a split in which nothing is seen on two sides.

Products that belong together stay on one side: offers of one product (`cluster`), titles that are
nearly the same, and everything of one brand, whatever its category. The brand is what the catalog
says under `Brand` or `Manufacturer`, in any spelling that it gives, without regard to letter case;
a product without one whose title begins with a brand of the same category is that brand's. Groups
join: two brands that share a cluster are one group. A group larger than a quarter of a held-out
part would be most of that part, so it arrives instead: the judge sees many small brands, none of
them ever trained on.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.demo.catalog import CatalogError, Product, read_catalog
from infra.demo.grouping import stratified, together
from infra.experiment.profiles import Sizes
from schemas.category import CategorySchemas
from schemas.sources.json_schema import read_schemas
from serving.listing import Listing
from trainer.dataset import Row

BRAND_ATTRIBUTES = ("Brand", "Manufacturer")
# A brand of one or two letters stands at the beginning of titles that have nothing to do with it.
SHORTEST_BRAND = 3
SPLIT_SEED = 0


@dataclass(frozen=True)
class DataSet:
    """A catalog folder: `listings.jsonl` and `schema.json`."""

    name: str
    alternatives: bool  # several values of an attribute are spellings of one


DATA_SETS = (DataSet("flipkart", False), DataSet("wdc_pave", True))


@dataclass(frozen=True)
class Parts:
    """A data set's listings, dealt out. `arrivals` stand in no order that means anything."""

    arrivals: list[Row]
    calibration: list[Row]
    gate: list[Row]
    test: list[Row]

    def sizes(self) -> dict[str, int]:
        """Part to its number of listings."""
        return {name: len(part) for name, part in vars(self).items()}


def read(folder: Path, data_set: DataSet) -> tuple[CategorySchemas, list[Product], list[str]]:
    """Schemas and products of `data_set` under `folder`, and warnings about what was left out.

    Raises:
        ListuneError: a file is missing or wrong.
    """
    source = folder / data_set.name
    if not source.is_dir():
        raise CatalogError(
            f"{source} is not there; give the folder of the catalogs with --data, or name those "
            "that it has with --only"
        )
    schemas = read_schemas(source / "schema.json", data_set.alternatives)
    return schemas, *read_catalog(source / "listings.jsonl", schemas, data_set.alternatives)


def split(products: Sequence[Product], schemas: CategorySchemas, sizes: Sizes) -> Parts:
    """Deal out `products`; the same whatever their order. Held-out products all have a value.

    Raises:
        CatalogError: too few products for the held-out parts.
    """
    wanted = [sizes.calibration, sizes.gate, sizes.test]
    if sum(wanted) + sizes.k > len(products):
        raise CatalogError(
            f"{sum(wanted)} of {len(products)} products would be held out; take a larger catalog "
            "or a smaller profile"
        )
    heldout: list[list[Product]] = [[], [], []]
    arrivals: list[Product] = []
    brands = brands_of(products)
    groups = together(products, lambda product: brands[product.product_id])
    for group in stratified(groups, SPLIT_SEED):
        usable = all(product.truth for product in group)
        room = [
            part
            for part, size in zip(heldout, wanted, strict=True)
            if len(part) + len(group) <= size and 4 * len(group) <= max(size, 4)
        ]
        # The emptiest part first: parts fill side by side and have the categories alike.
        emptiest = min(room, key=lambda part: len(part) / wanted[heldout.index(part)], default=None)
        (arrivals if emptiest is None or not usable else emptiest).extend(group)
    if not all(heldout):
        raise CatalogError(
            "a held-out part stays empty, since too much belongs together; take a larger catalog"
        )
    calibration, gate, test = ([as_row(p, schemas) for p in part] for part in heldout)
    return Parts([as_row(p, schemas) for p in arrivals], calibration, gate, test)


def brands_of(products: Sequence[Product]) -> Mapping[str, set[str]]:
    """Product id to the brands that it goes under, case-folded; see the module."""
    named = {p.product_id: set(_named_brands(p)) for p in products}
    of_category: defaultdict[str, set[str]] = defaultdict(set)
    for product in products:
        of_category[product.category] |= named[product.product_id]
    return {
        p.product_id: named[p.product_id] or set(_title_brands(p.title, of_category[p.category]))
        for p in products
    }


def as_row(product: Product, schemas: CategorySchemas) -> Row:
    """What trainer and judge see of `product`: what is asked for, and what its seller knows."""
    listing = Listing(product.product_id, product.category, product.title, product.description)
    return Row(listing, product.attributes(schemas), product.truth)


def _named_brands(product: Product) -> Iterator[str]:
    for attribute in BRAND_ATTRIBUTES:
        yield from (_words(value) for value in product.truth.get(attribute, ()))


def _title_brands(title: str, brands: set[str]) -> Iterator[str]:
    """Those of `brands` that `title` begins with, as whole words."""
    words = _words(title).split()
    beginnings = (" ".join(words[:count]) for count in range(1, len(words) + 1))
    yield from (text for text in beginnings if text in brands and len(text) >= SHORTEST_BRAND)


def _words(text: str) -> str:
    return " ".join(text.casefold().split())
