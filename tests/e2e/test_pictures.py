"""The demo on a catalog with pictures: sent, seen, kept, trained on and judged, on the real stack.

Base and encoder are tiny and random, so the test looks at what the loop does with a picture, not at
what a model makes of it.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from safetensors import safe_open

from infra import stack
from infra.catalogs.catalog import Product, write_catalog
from infra.catalogs.generate import generate
from infra.demo import play
from infra.settings import Mix, Settings
from schemas.sources.json_schema import write_schemas
from serving.pictures.store import PictureStore
from tests.e2e.conftest import SEED, tiny_settings
from trainer.data.registry import ADAPTER

PRODUCTS = 120
WAVE = 48


@pytest.fixture
def settings(tmp_path: Path, tiny_encoder: Path) -> Settings:
    """A generated catalog, every product of which has a picture of one plain colour."""
    schemas, products = generate(SEED, PRODUCTS)
    folder = tmp_path / "catalog"
    (folder / "images").mkdir(parents=True)
    write_schemas(folder / "schema.json", schemas)
    painted = [_painted(folder, number, product) for number, product in enumerate(products)]
    write_catalog(folder / "products.jsonl", painted)
    return tiny_settings(tmp_path).changed(
        serving={"encoder": str(tiny_encoder)},
        demo={
            "catalog": folder / "products.jsonl",
            "catalog_schema": folder / "schema.json",
            "mix": Mix.PAPER,
            "rounds": 1,
            "wave": WAVE,
        },
    )


def _painted(folder: Path, number: int, product: Product) -> Product:
    image = f"images/{number}.png"
    colour = (40 * number % 256, 90 * number % 256, 10 * number % 256)
    Image.new("RGB", (60, 40), colour).save(folder / image)
    return replace(product, images=(image,))


def test_a_catalogs_pictures_are_seen_by_the_live_answers_the_round_and_the_judging(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(stack, "ACTIVE", tmp_path / "runs" / "active")
    console = Console(record=True, width=200)
    run_dir = play.run(settings, console)
    report = json.loads((run_dir / "report.json").read_text())

    judged = _lines(run_dir / "rounds" / "side-by-side" / "heldout.jsonl")
    carried = {(bool(row["title"]), len(row["images"])) for row in judged}
    assert carried == {(True, 0), (True, 1), (False, 1)}
    # What a live answer has seen is what is kept, under the same name.
    assert all(len(row["pictures"]) == len(row["images"]) for row in judged)
    kept = set(PictureStore(str(run_dir / "pictures")).hashes())
    assert {picture for row in judged for picture in row["pictures"]} <= kept
    assert len(kept) >= WAVE / 3

    (adapter,) = [row["adapter"] for row in report["rounds"][1:]]
    # The base has no projector and says so; the adapter that serves in the end sees.
    before, after = console.export_text().split("The last champion at work")
    assert "were answered with a note" in before
    assert "were answered with a note" not in after
    with safe_open(run_dir / "registry" / adapter / ADAPTER, "numpy") as tensors:
        assert any(name.startswith("projector.") for name in tensors.keys())  # noqa: SIM118

    told = report["run"]["settings"]
    assert (told["serving"]["pictures"], told["demo"]["mix"]) == (1, "paper")
    counted = {(row["adapter"], row["inputs"]): row["listings"] for row in report["by_inputs"]}
    assert sum(counted[adapter, kind] for kind in ("text", "image", "text+image")) == len(judged)
    assert counted[adapter, "image"] == sum(not row["title"] for row in judged)


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
