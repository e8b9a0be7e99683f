"""The split: nothing that belongs together is on two sides, and the same split every time."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from infra.demo.catalog import CatalogError, Product
from infra.demo.grouping import NEAR_DUPLICATE
from infra.experiment.data import DATA_SETS, DataSet, Parts, brands_of, read, split
from infra.experiment.profiles import PROFILES, Sizes
from tests.infra.experiment.catalog import SCHEMAS, make_products

REAL = Path(__file__).parents[4] / "shared" / "data"
SIZES = Sizes(calibration=4, gate=4, test=8, wave=8, measured=8, k=4)


def sides(parts: Parts) -> dict[str, str]:
    """Listing to the part that it is in."""
    return {row.listing.listing_id: name for name, part in vars(parts).items() for row in part}


def crossing(pairs: Iterable[tuple[str, str]], side: dict[str, str]) -> list[tuple[str, str]]:
    return [(one, other) for one, other in pairs if side[one] != side[other]]


def sharing(keys: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Pairs of listings that have a key in common."""
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for listing, own in keys.items():
        for key in own:
            holders[key].append(listing)
    return [pair for group in holders.values() for pair in combinations(group, 2)]


def near_duplicates(products: list[Product]) -> list[tuple[str, str]]:
    words = {p.product_id: (p.category, set(p.title.casefold().split())) for p in products}
    return [
        (one, other)
        for one, other in combinations(words, 2)
        if words[one][0] == words[other][0]
        and len(words[one][1] & words[other][1])
        >= NEAR_DUPLICATE * len(words[one][1] | words[other][1])
    ]


def assert_no_leak(products: list[Product], parts: Parts) -> None:
    side = sides(parts)
    assert len(side) == len(products) == sum(parts.sizes().values())
    assert crossing(sharing(dict(brands_of(products))), side) == []
    clusters = {p.product_id: {p.cluster} for p in products if p.cluster is not None}
    assert crossing(sharing(clusters), side) == []
    assert crossing(near_duplicates(products), side) == []


def test_nothing_that_belongs_together_is_on_two_sides() -> None:
    products = make_products()
    assert sharing(dict(brands_of(products)))
    assert near_duplicates(products)
    assert_no_leak(products, split(products, SCHEMAS, SIZES))


@pytest.mark.parametrize("data_set", DATA_SETS, ids=lambda one: one.name)
@pytest.mark.parametrize("profile", ["laptop", "full"])
def test_the_real_catalogs_do_not_leak(data_set: DataSet, profile: str) -> None:
    if not (REAL / data_set.name).is_dir():
        pytest.skip(f"the real catalog {data_set.name} is not here (../shared/data)")
    schemas, products, _ = read(REAL, data_set)
    sizes = PROFILES[profile].sizes
    parts = split(products, schemas, sizes)
    assert_no_leak(products, parts)
    assert parts.sizes()["test"] == sizes.test
    assert len(parts.arrivals) >= PROFILES[profile].rounds * sizes.wave


def test_the_split_does_not_depend_on_the_order_of_the_products() -> None:
    products = make_products()
    shuffled = random.Random(1).sample(products, len(products))
    assert sides(split(shuffled, SCHEMAS, SIZES)) == sides(split(products, SCHEMAS, SIZES))


def test_parts_have_the_sizes_asked_for_and_held_out_listings_have_values() -> None:
    parts = split(make_products(), SCHEMAS, SIZES)
    assert [len(parts.calibration), len(parts.gate), len(parts.test)] == [4, 4, 8]
    assert all(row.filled() for row in [*parts.calibration, *parts.gate, *parts.test])


def test_a_product_without_a_brand_goes_by_the_brand_that_its_title_begins_with() -> None:
    named, *rest = make_products(4)
    unnamed = replace(named, product_id="x", truth={}, title=f"{named.truth['Brand'][0]} teapot")
    other = replace(named, product_id="y", truth={}, title=f"teapot {named.truth['Brand'][0]}")
    brands = brands_of([named, unnamed, other, *rest])
    assert brands["x"] == brands[named.product_id] == {"brand0"}
    assert brands["y"] == set()


def test_too_small_a_catalog_is_refused() -> None:
    with pytest.raises(CatalogError, match="larger catalog or a smaller profile"):
        split(make_products(4), SCHEMAS, SIZES)


def test_a_missing_catalog_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="--data"):
        read(tmp_path, DATA_SETS[0])
