"""The split: nothing that belongs together is on two sides, and the same split every time."""

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from infra.catalogs.catalog import CatalogError, Product
from infra.lab.experiment.data import (
    DATA_SETS,
    HELDOUT_BEFORE,
    DataSet,
    Parts,
    brands_of,
    heldout_before,
    leading_word,
    read,
    split,
)
from infra.lab.experiment.profiles import PROFILES, Sizes
from schemas.category import CategorySchemas
from schemas.likeness import Titles
from tests.infra.lab.experiment.catalog import SCHEMAS, make_products

ROOT = Path(__file__).parents[4]
REAL = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "docs" / "results" / "experiment"
TITLES = [hashlib.sha256(str(n).encode()).hexdigest()[:16] for n in range(60)]
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


def near_duplicates(products: Iterable[Product]) -> list[tuple[str, str]]:
    titles, pairs = Titles(), []
    for p in products:
        pairs += [(other, p.product_id) for other in titles.near(p.category, p.title)]
        titles.add(p.category, p.title, p.product_id)
    return pairs


def leading(products: Iterable[Product]) -> dict[str, set[str]]:
    """Listing to category and first word, as plainly as one can look at it."""
    return {p.product_id: {f"{p.category} {p.title.casefold().split()[0]}"} for p in products}


def assert_no_leak(products: list[Product], parts: Parts) -> None:
    side = sides(parts)
    assert len(side) == len(products) == sum(parts.sizes().values())
    assert crossing(sharing(dict(brands_of(products))), side) == []
    clusters = {p.product_id: {p.cluster} for p in products if p.cluster is not None}
    assert crossing(sharing(clusters), side) == []
    assert crossing(near_duplicates(products), side) == []
    assert crossing(sharing(leading(products)), side) == []


def test_nothing_that_belongs_together_is_on_two_sides() -> None:
    products = make_products()
    assert sharing(dict(brands_of(products)))
    assert near_duplicates(products)
    assert_no_leak(products, split(products, SCHEMAS, SIZES))


@pytest.mark.parametrize("data_set", DATA_SETS, ids=lambda one: one.name)
@pytest.mark.parametrize("profile", ["laptop", "reach", "full"])
def test_the_real_catalogs_do_not_leak(data_set: DataSet, profile: str) -> None:
    schemas, products = real(data_set)
    sizes = PROFILES[profile].sizes
    before = heldout_before(data_set)
    parts = split(products, schemas, sizes, before)
    assert_no_leak(products, parts)
    assert parts.sizes() | {"arrivals": 0} == {
        "arrivals": 0,
        "calibration": sizes.calibration,
        "gate": sizes.gate,
        "test": sizes.test,
    }
    assert len(parts.arrivals) >= PROFILES[profile].rounds * sizes.wave
    assert not before & set(parts.heldout_ids()["test"])


@pytest.mark.parametrize("data_set", DATA_SETS, ids=lambda one: one.name)
def test_profiles_that_run_side_by_side_have_the_same_split(data_set: DataSet) -> None:
    schemas, products = real(data_set)
    before = heldout_before(data_set)
    laptop, reach = (
        split(products, schemas, PROFILES[name].sizes, before) for name in ("laptop", "reach")
    )
    assert laptop == reach


def real(data_set: DataSet) -> tuple[CategorySchemas, list[Product]]:
    if not (REAL / data_set.name).is_dir():
        pytest.skip(f"the real catalog {data_set.name} is not here (../shared/data)")
    schemas, products, _ = read(REAL, data_set)
    return schemas, products


def test_what_was_held_out_before_is_what_the_published_runs_say_they_were_tested_on() -> None:
    for name, runs in json.loads(HELDOUT_BEFORE.read_text()).items():
        for run, parts in runs.items():
            figures = json.loads((RESULTS / run / "figures.json").read_text())
            (tested,) = (
                d["test"]["listing_ids"] for d in figures["data_sets"] if d["name"] == name
            )
            assert sorted(tested) == parts["test"]
            assert set(parts) == {"calibration", "gate", "test"}


def test_what_was_held_out_before_and_what_belongs_together_with_it_is_no_test() -> None:
    products = make_products()
    before = split(products, SCHEMAS, SIZES).heldout_ids()["test"]
    parts = split(products, SCHEMAS, SIZES, before)
    assert parts.sizes()["test"] == SIZES.test
    tested = set(parts.heldout_ids()["test"])
    assert not tested & set(before)
    together = [*sharing(dict(brands_of(products))), *near_duplicates(products)]
    assert not any(tested & {*pair} and {*before} & {*pair} for pair in together)


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


@pytest.mark.parametrize(
    ("category", "title", "word"),
    [
        ("Kitchen > Mugs", "Prithish Aries Black Ceramic Mug", "prithish"),
        ("Kitchen > Mugs", "The new Norvik mug", "norvik"),
        ("Kitchen > Mugs", "Mug by Norvik", "by"),
        ("Geschirr > Tassen", "Tasse Norvik rot", "norvik"),
        ("Computers", "341-8358 Dell 300-GB", "dell"),
        ("Computers", "D-Link router", "d-link"),
        ("Computers", "«ＨＰ», 61XL", "hp"),
        ("厨房 > 杯子", "小米陶瓷马克杯 红色", "小米"),
        ("台所 > マグカップ", "マグカップ 象印 赤", "象印"),
        ("Kitchen > Mugs", "Mugs 300", None),
        ("Kitchen > Mugs", "???", None),
    ],
)
def test_the_leading_word_is_the_first_that_may_be_a_brand(
    category: str, title: str, word: str | None
) -> None:
    assert leading_word(category, title) == word


def test_a_brand_that_nobody_labelled_stays_on_one_side() -> None:
    # Titles that have no more in common than their first word, and say no brand.
    products = [
        replace(p, truth={"Colour": p.truth["Colour"]}, title=f"Maker{n // 2} {title}")
        for n, (p, title) in enumerate(zip(make_products(40), TITLES, strict=False))
    ]
    assert near_duplicates(products) == []
    side = sides(split(products, SCHEMAS, SIZES))
    assert crossing(sharing(leading(products)), side) == []


def test_too_small_a_catalog_is_refused() -> None:
    with pytest.raises(CatalogError, match="larger catalog or a smaller profile"):
        split(make_products(4), SCHEMAS, SIZES)


def test_a_missing_catalog_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="--data"):
        read(tmp_path, DATA_SETS[0])
