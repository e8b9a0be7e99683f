"""The made-up shop is one that an import understands and that something can be learnt from."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from infra.importing.run import import_files
from infra.lab.importing.shop import COLUMNS, rows, write


def test_the_same_rows_and_seed_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(200, tmp_path / name)
    write(200, tmp_path / "c.csv", seed=8)
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.csv", "b.csv", "c.csv"))
    assert a == b != c


def test_all_cells_are_of_columns_and_options_have_names() -> None:
    made = list(rows(500))
    assert len(made) == 500
    assert all(row.keys() <= set(COLUMNS) for row in made)
    assert all("Option1 Name" in row for row in made if "Status" in row)


def test_five_hundred_rows_are_a_shop_of_two_hundred_products_and_more(tmp_path: Path) -> None:
    write(500, tmp_path / "shop.csv")
    report = import_files([tmp_path / "shop.csv"], tmp_path / "products.jsonl")
    assert report.import_map.file.export == "shopify"
    products = [json.loads(line) for line in report.out.read_text(encoding="utf-8").splitlines()]
    assert len({p["cluster"] for p in products}) >= 200
    assert len({p["category"] for p in products}) == 5
    said = [
        any(value.casefold() in p["description"].casefold() for value in values)
        for p in products
        for name, values in p["catalog"].items()
        if name != "Dishwasher safe"
    ]
    assert 0.8 < sum(said) / len(said) < 0.95
    assert 0 < report.rejected_rows < 10


@pytest.mark.slow
def test_the_first_two_commands_of_the_walkthrough_end_with_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LISTUNE_LOCAL__CACHE_DIR", str(tmp_path / "cache"))
    write(500, Path("shop.csv"))
    page = Path(__file__).parents[3] / "docs" / "walkthrough.md"
    commands = [
        line.split()[1:]
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith((".venv/bin/listune import", ".venv/bin/listune check"))
    ]
    said = [CliRunner().invoke(app, command) for command in commands if "--map" not in command]
    assert [one.exit_code for one in said] == [0, 0]
    assert "470 products with 2,407 values of 476 rows" in said[0].output
    assert said[1].output.splitlines()[-1] == "ready"
    assert Path("check/report.html").is_file()
