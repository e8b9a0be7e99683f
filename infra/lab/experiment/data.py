"""The catalogs of the experiment, and a split in which nothing is seen on two sides.

Products that belong together stay on one side: offers of one product (`cluster`), titles that are
nearly the same, and everything of one brand, whatever its category. The brand is what the catalog
says under `Brand` or `Manufacturer`, in any spelling that it gives, without regard to letter case;
a product without one whose title begins with a brand of the same category is that brand's. Where
nobody says the brand it mostly stands in front, so products of one category whose titles begin with
the same word stay together too (`leading_word`). Groups join: two brands that share a cluster are
one group. A group larger than a quarter of a held-out part would be most of that part, so it
arrives instead: the judge sees many small groups, none of them ever trained on.

The test is new to us as well. `heldout_before.json` has the listings that the published runs held
out: what calibrated or gated there has led to a choice of a setting, and what they were tested on
has been looked at. No listing that belongs together with one of these is a test listing; it may
calibrate, judge a round or arrive. When a run has been published and something was chosen by it,
add its held-out listings (`heldout` in its `figures.json`) there. That changes the split, so it
ends what is under way.
"""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.catalogs.catalog import CatalogError, Product, read_catalog
from infra.catalogs.grouping import stratified, together
from infra.lab.experiment.profiles import Sizes
from schemas.category import CategorySchemas
from schemas.likeness import is_wide
from schemas.sources.json_schema import read_schemas
from serving.listing import Listing
from trainer.data.dataset import Row

BRAND_ATTRIBUTES = ("Brand", "Manufacturer")
# A brand of one or two letters stands at the beginning of titles that have nothing to do with it.
SHORTEST_BRAND = 3
SPLIT_SEED = 0
HELDOUT_BEFORE = Path(__file__).with_name("heldout_before.json")
# Titles of anything begin with these.
NO_BRAND = {
    "a",
    "an",
    "the",
    "my",
    "new",
    "original",
    "genuine",
    "set",
    "pack",
    "combo",
    "of",
    "for",
}
LONGEST_ENDING = 2  # of a plural: mugs, boxes, Tassen
# Names in front of a Chinese or Japanese title, which has no spaces, have this many or more.
WIDE_NAME = 2


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

    def heldout_ids(self) -> dict[str, list[str]]:
        """Held-out part to its listings."""
        heldout = {"calibration": self.calibration, "gate": self.gate, "test": self.test}
        return {name: sorted(r.listing.listing_id for r in part) for name, part in heldout.items()}


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


def heldout_before(data_set: DataSet) -> frozenset[str]:
    """The listings that published runs held out; see the module."""
    runs = json.loads(HELDOUT_BEFORE.read_text(encoding="utf-8")).get(data_set.name, {})
    return frozenset(listing for run in runs.values() for part in run.values() for listing in part)


def split(
    products: Sequence[Product],
    schemas: CategorySchemas,
    sizes: Sizes,
    before: Collection[str] = (),
) -> Parts:
    """Deal out `products`; the same whatever their order. Held-out products all have a value.

    No listing of `before`, and none that belongs together with one, is a test listing.

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
    groups = together(products, lambda product: brands[product.product_id] | _leading(product))
    for group in stratified(groups, SPLIT_SEED):
        usable = all(product.truth for product in group)
        known = any(product.product_id in before for product in group)
        room = [
            part
            for part, size in zip(heldout, wanted, strict=True)
            if len(part) + len(group) <= size
            and 4 * len(group) <= max(size, 4)
            and not (known and part is heldout[-1])
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


def leading_word(category: str, title: str) -> str | None:
    """The first word of `title` that may be a brand, case-folded; None if there is none.

    Passed over are words without a letter (numbers), `NO_BRAND`, and what the category's own name
    says (`Mug` in `Kitchen > Mugs`). Of a word in a script without spaces the first `WIDE_NAME`
    characters are taken. A noun that begins most titles and that the category's name does not tell
    is taken for a brand: its products arrive, and no listing is tested that should not be.
    """
    for word in _words(title).split():
        first = word[:WIDE_NAME] if is_wide(word[0]) else word
        told = any(_singular_of(first, part) for part in _words(category).split())
        if any(c.isalpha() for c in word) and first not in NO_BRAND and not told:
            return first
    return None


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


def _leading(product: Product) -> set[str]:
    """What `together` takes: the leading word, which means something within its category only."""
    word = leading_word(product.category, product.title)
    return set() if word is None else {f"{product.category}\n{word}"}


def _singular_of(word: str, name: str) -> bool:
    """Whether `name` is `word` with an ending, or, without spaces, goes on after it."""
    return name.startswith(word) and (is_wide(word[0]) or len(name) - len(word) <= LONGEST_ENDING)


def _words(text: str) -> str:
    """`text` case-folded, of one width, its words without punctuation at their ends."""
    words = unicodedata.normalize("NFKC", text).casefold().split()
    return " ".join(filter(None, map(_bare, words)))


def _bare(word: str) -> str:
    # Marks stay: in many scripts they are the vowels.
    ends = {c for c in word if not c.isalnum() and not unicodedata.category(c).startswith("M")}
    return word.strip("".join(ends))
