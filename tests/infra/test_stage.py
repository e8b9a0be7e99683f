"""What a run plays with: enough products, and every category on the way."""

import json
import random
from dataclasses import replace
from pathlib import Path
from string import ascii_lowercase

import pytest
from rich.console import Console

from infra.catalogs.catalog import CatalogError, Product, write_catalog
from infra.catalogs.generate import generate
from infra.catalogs.grouping import parted
from infra.settings import Mix, Settings, load_settings
from infra.stage import Stage, read_stage, with_pictures
from schemas.sources.json_schema import write_schemas
from serving.pictures.settings import LookingSettings

TRUTH = {"Color": ["red"]}


def unlike(n: int) -> str:
    """A title that is not nearly any other one."""
    return "lamp " + "".join(random.Random(n).choices(ascii_lowercase, k=12))


PRODUCTS = [Product(f"p{n}", "Lamps", unlike(n), "", TRUTH) for n in range(40)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """For lamps of a catalog in the folder, half of them held out; no base is in the cache."""
    schema = tmp_path / "schema.json"
    schema.write_text('{"Lamps": {"attributes": [{"name": "Color", "type": "text"}]}}')
    return Settings().changed(
        demo={"catalog": tmp_path / "lamps.jsonl", "catalog_schema": schema, "rounds": 2},
        streams={"heldout_share": 0.5, "heldout_least": 15, "k": 8},
        local={"cache_dir": tmp_path / "cache"},
    )


def staged_of(products: list[Product], settings: Settings) -> Stage:
    assert settings.demo.catalog is not None
    write_catalog(settings.demo.catalog, products)
    return read_stage(settings, Console(quiet=True))


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
    settings = settings.changed(streams={"k": k, "heldout_least": least})
    if enough:
        assert len(staged_of(PRODUCTS, settings).products) == 40
        return
    with pytest.raises(CatalogError, match=r"products to learn from .* give a larger catalog"):
        staged_of(PRODUCTS, settings)


def test_products_with_the_same_text_count_as_often_as_a_round_takes_them(
    settings: Settings,
) -> None:
    offers = [replace(p, title=unlike(int(p.product_id[1:]) // 3)) for p in PRODUCTS]
    settings = settings.changed(streams={"k": 10, "heldout_least": 5, "max_share_per_group": 0.1})
    with pytest.raises(CatalogError, match=r"of products with the same text few count"):
        staged_of(offers, settings)
    staged_of(offers, settings.changed(streams={"max_share_per_group": 0.3}))


def test_a_catalog_that_could_teach_nothing_is_refused_with_its_reason(settings: Settings) -> None:
    variants = [
        Product(f"p{n}", "Lamps", f"{unlike(n // 40)} mug no. {n % 40}", "", TRUTH)
        for n in range(400)
    ]
    with pytest.raises(CatalogError, match="400 products none could be trained on"):
        staged_of(variants, settings)
    long = [
        replace(p, title=unlike(int(p.product_id[1:])), truth={"Color": ["x" * 999]})
        for p in variants
    ]
    with pytest.raises(CatalogError, match=r"none of the 400 products .*line 1, attribute 'Color'"):
        staged_of(long, settings)


def test_what_a_catalog_could_teach_stands_on_the_stage(settings: Settings) -> None:
    check = staged_of(PRODUCTS, settings).check
    assert check is not None
    assert (check.ready, check.products) == (True, 40)
    assert read_stage(load_settings(), Console(quiet=True)).check is None


def test_a_staged_catalog_has_its_wrong_lines_beside_it(tmp_path: Path) -> None:
    schemas, products = generate(1, 400)
    catalog, schema = tmp_path / "mugs.jsonl", tmp_path / "schema.json"
    write_schemas(schema, schemas)
    write_catalog(catalog, products)
    catalog.write_text(catalog.read_text() + "{\n")
    chosen = {"catalog": catalog, "catalog_schema": schema}
    settings = load_settings().changed(demo=chosen)
    assert len(read_stage(settings, Console(quiet=True)).products) == 400
    assert "not JSON" in (tmp_path / "mugs.jsonl.rejected.jsonl").read_text()
    with pytest.raises(CatalogError, match="line 401: not JSON"):
        read_stage(settings.changed(demo={"strict": True}), Console(quiet=True))
    with pytest.raises(CatalogError, match="1 of 401 lines are no product"):
        read_stage(settings.changed(demo={"most_rejected": 0.0}), Console(quiet=True))


@pytest.fixture
def pictured(tmp_path: Path, settings: Settings) -> Settings:
    """A catalog in which every second product has a picture."""
    (tmp_path / "lamp.jpg").write_bytes(b"")
    lamp = {"category": "Lamps", "catalog": {"Color": "red"}}
    images: tuple[list[str], ...] = ([], ["lamp.jpg"])
    lines = [
        lamp | {"product_id": f"p{n}", "title": unlike(n), "images": images[n % 2]}
        for n in range(40)
    ]
    (tmp_path / "lamps.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return settings.changed(streams={"heldout_least": 5, "k": 5})


def staged(settings: Settings) -> tuple[Stage, Settings]:
    stage = read_stage(settings, Console(quiet=True))
    return stage, with_pictures(stage, settings)


def test_products_with_images_have_one_looked_at_below_the_catalogs_folder(
    pictured: Settings, tmp_path: Path
) -> None:
    stage, settings = staged(pictured)
    assert sum(product.images == ("lamp.jpg",) for product in stage.products) == 20
    assert settings.serving.pictures == 1
    assert settings.serving.looking == LookingSettings(root=tmp_path)


def test_what_the_settings_say_of_pictures_holds_for_a_catalog_with_images(
    pictured: Settings, tmp_path: Path
) -> None:
    looking = LookingSettings(hosts=("shop.example",))
    _, settings = staged(pictured.changed(serving={"pictures": 3, "looking": looking}))
    assert settings.serving.pictures == 3
    assert settings.serving.looking == LookingSettings(root=tmp_path, hosts=("shop.example",))


def test_pictures_that_are_switched_off_are_neither_sent_nor_looked_at(pictured: Settings) -> None:
    off = pictured.changed(demo={"pictures": False}, serving={"pictures": 2})
    stage, settings = staged(off)
    assert not any(product.images for product in stage.products)
    assert settings.serving.pictures == 0


def test_without_pictures_products_that_have_nothing_else_do_not_come(pictured: Settings) -> None:
    catalog = pictured.demo.catalog
    assert catalog is not None
    line = {"product_id": "bare", "category": "Lamps", "title": "", "images": ["lamp.jpg"]}
    catalog.write_text(f"{catalog.read_text()}\n{json.dumps(line)}")
    assert len(staged(pictured)[0].products) == 41
    assert len(staged(pictured.changed(demo={"pictures": False}))[0].products) == 40


def test_a_catalog_without_images_changes_no_setting() -> None:
    settings = load_settings()
    assert staged(settings)[1] == settings


def test_the_papers_mix_sends_of_pictured_products_text_or_pictures_or_both(
    pictured: Settings,
) -> None:
    def carried(settings: Settings) -> set[tuple[bool, bool]]:
        stage, _ = staged(settings)
        return {(bool(product.title), bool(product.images)) for product in stage.products}

    paper = pictured.changed(demo={"mix": Mix.PAPER})
    assert carried(pictured) == {(True, False), (True, True)}
    assert carried(paper) == {(True, False), (True, True), (False, True)}
    assert carried(paper.changed(demo={"pictures": False})) == {(True, False)}
