"""The made-up shop is one that an import understands and that something can be learnt from."""

import json
from pathlib import Path

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
