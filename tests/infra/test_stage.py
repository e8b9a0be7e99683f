"""What a run plays with: enough products, and every category on the way."""

import pytest
from rich.console import Console

from infra.catalogs.catalog import CatalogError, Product
from infra.catalogs.grouping import parted
from infra.settings import Settings, load_settings
from infra.stage import check_enough, read_stage

PRODUCTS = [Product(f"p{n}", "Lamps", f"lamp {n}", "", {"Color": ["red"]}) for n in range(40)]


@pytest.fixture
def settings() -> Settings:
    return Settings().changed(streams={"heldout_share": 0.5})


def test_the_generated_catalog_is_enough_for_all_waves_and_topping_up() -> None:
    settings = load_settings()
    stage = read_stage(settings, Console(quiet=True))
    demo, streams = settings.demo, settings.streams
    held_out, others = parted(stage.products, streams.heldout_share)
    assert len(stage.products) >= 1.5 * (demo.rounds * demo.wave + demo.final_wave)
    assert len(others) >= 1.5 * demo.rounds * streams.k
    assert len(held_out) >= 1.5 * streams.heldout_least


def test_every_stretch_of_arrivals_has_all_categories() -> None:
    stage = read_stage(load_settings(), Console(quiet=True))
    everything = {product.category for product in stage.products}
    assert {product.category for product in stage.products[: 2 * len(everything)]} == everything
    assert len({product.product_id for product in stage.products}) == len(stage.products)


@pytest.mark.parametrize(("k", "least", "enough"), [(8, 15, True), (12, 15, False), (8, 30, False)])
def test_a_catalog_that_cannot_reach_its_rounds_is_refused_before_anything_is_started(
    settings: Settings, k: int, least: int, enough: bool
) -> None:
    settings = settings.changed(streams={"k": k, "heldout_least": least}, demo={"rounds": 2})
    if enough:
        check_enough(PRODUCTS, settings)
        return
    with pytest.raises(CatalogError, match=r"products to learn from .* give a larger catalog"):
        check_enough(PRODUCTS, settings)


def test_products_of_which_no_value_is_known_teach_nothing(settings: Settings) -> None:
    settings = settings.changed(streams={"k": 1, "heldout_least": 1})
    blank = [Product(p.product_id, p.category, p.title, "", {}) for p in PRODUCTS]
    with pytest.raises(CatalogError, match="has 0 products to learn from"):
        check_enough(blank, settings)
