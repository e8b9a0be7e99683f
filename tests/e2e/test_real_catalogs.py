"""The demo on real products, a slice of each catalog: whatever it learns, it runs to the report."""

import json
from itertools import islice
from pathlib import Path

import pytest
from rich.console import Console

from infra import stack
from infra.demo import play
from tests.e2e.conftest import tiny_settings

DATA = Path(__file__).parents[3] / "shared" / "data"
PRODUCTS = 90


@pytest.mark.parametrize(("name", "alternatives"), [("flipkart", False), ("wdc_pave", True)])
def test_the_demo_runs_on_a_slice_of(
    name: str, alternatives: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DATA / name
    if not source.is_dir():
        pytest.skip(f"the real catalog {name} is not here (../shared/data/{name})")
    settings = tiny_settings(tmp_path)
    catalog = tmp_path / "slice.jsonl"
    demo = {"catalog": catalog, "catalog_schema": source / "schema.json"}
    settings = settings.changed(demo={**demo, "rounds": 1, "alternatives": alternatives})
    with (source / "listings.jsonl").open() as lines:
        catalog.write_text("".join(islice(lines, PRODUCTS)))
    monkeypatch.setattr(play, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(stack, "ACTIVE", tmp_path / "runs" / "active")
    run_dir = play.run(settings, Console())
    assert json.loads((run_dir / "check" / "report.json").read_text())["products"] > 0
    report = json.loads((run_dir / "report.json").read_text())
    assert [row["round"] for row in report["rounds"]] == [0, 1]
    assert report["rounds"][1]["decision"] in ("promoted", "rejected", "challenger")
    assert report["rounds"][0]["acceptance"] is not None
