"""Rounds on history by a tiny model, each trained once for all tests."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from infra.catalogs.catalog import Product
from infra.catalogs.generate import generate
from infra.history.parts import part
from infra.history.rounds import Outcome, bootstrap, settings_at
from infra.lab.small import small_settings
from infra.settings import Settings
from schemas.category import CategorySchemas

SEED = 3
QUIET = Console(quiet=True)

Catalog = tuple[CategorySchemas, list[Product]]
Done = tuple[Path, Settings, Outcome]
"""The run folder, the settings that its rounds had, and what came of them."""


def at(settings: Settings, run_dir: Path) -> Settings:
    return settings_at(settings, run_dir, str(settings.local.base_model))


def trained(
    products: Sequence[Product], schemas: CategorySchemas, settings: Settings, run_dir: Path
) -> Outcome:
    parts = part(products, settings.streams, settings.trainer.seed)
    return bootstrap(parts, schemas, settings, run_dir, QUIET)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return generate(SEED, 40)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One short round, which the gate lets through."""
    settings = small_settings(tmp_path_factory.mktemp("base"), SEED)
    return settings.changed(
        trainer={"steps": 3, "bootstrap_draws": 200}, history={"rounds": 1, "candidates": 1}
    )


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory, small: Settings, catalog: Catalog) -> Done:
    """A round."""
    run_dir = tmp_path_factory.mktemp("history")
    schemas, products = catalog
    here = at(small, run_dir)
    return run_dir, here, trained(products, schemas, here, run_dir)


@pytest.fixture(scope="session")
def further(
    tmp_path_factory: pytest.TempPathFactory, small: Settings, catalog: Catalog, done: Done
) -> Done:
    """The same round and one more."""
    run_dir = tmp_path_factory.mktemp("further") / "run"
    shutil.copytree(done[0], run_dir)
    schemas, products = catalog
    here = at(small.changed(history={"rounds": 2}), run_dir)
    return run_dir, here, trained(products, schemas, here, run_dir)
