"""Three real catalogs, written as CSV and imported, are what they were.

They are not part of the repository: LISTUNE_CATALOGS names the folder that has them.
"""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from infra.importing.run import import_files
from schemas.markup import without_markup
from schemas.texts import one_line

FOLDER = Path(os.environ.get("LISTUNE_CATALOGS", Path(__file__).parents[4] / "shared" / "data"))
SEPARATOR = "¦"  # in no value of the three


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def write_csv(path: Path, catalog: list[dict[str, Any]]) -> None:
    """A column for each field and attribute, lists joined."""
    attributes = dict.fromkeys(name for entry in catalog for name in entry["catalog"])
    fields = ("product_id", "cluster", "category", "title", "description", "images", "requested")
    names = [name for name in fields if any(entry.get(name) for entry in catalog)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow([*names, *(f"catalog.{name}" for name in attributes)])
        for entry in catalog:
            own = [entry.get(name) for name in names]
            own += [entry["catalog"].get(name) for name in attributes]
            writer.writerow(
                [SEPARATOR.join(cell) if isinstance(cell, list) else cell for cell in own]
            )


def as_kept(entry: dict[str, Any]) -> dict[str, Any]:
    """What a catalog reads of a line: texts on one line and without markup, no empty fields."""

    def tidy(text: str) -> str:
        return one_line(without_markup(text))

    kept = {
        **entry,
        "title": tidy(entry["title"]),
        "description": tidy(entry["description"]),
        "catalog": {
            name: list(dict.fromkeys(map(tidy, values)))
            for name, values in entry["catalog"].items()
            if any(map(str.strip, values))
        },
    }
    return {name: value for name, value in kept.items() if value or name == "catalog"}


MAP = """\
[file]
delimiter = ";"
[columns]
id = "product_id"
category = "category"
title = "title"
description = "description"
images = "images"
{more}
[values]
list_separator = "¦"
image_separator = "¦"
[attributes]
"""


@pytest.mark.parametrize("name", ["flipkart", "wdc_pave", "implicitave"])
def test_a_catalog_written_as_csv_is_imported_as_it_was(tmp_path: Path, name: str) -> None:
    source = FOLDER / name / "listings.jsonl"
    if not source.is_file():
        pytest.skip(f"there is no {source}: set LISTUNE_CATALOGS to the folder of the catalogs")
    catalog = entries(source)
    write_csv(tmp_path / "f.csv", catalog)
    attributes = dict.fromkeys(n for entry in catalog for n in entry["catalog"])
    roles = [n for n in ("requested", "cluster") if any(entry.get(n) for entry in catalog)]
    more = "\n".join(f'{"group" if role == "cluster" else role} = "{role}"' for role in roles)
    columns = "\n".join(
        f"{json.dumps(n)} = {{column = {json.dumps(f'catalog.{n}')}}}" for n in attributes
    )
    (tmp_path / "map.toml").write_text(MAP.format(more=more) + columns, encoding="utf-8")
    report = import_files([tmp_path / "f.csv"], tmp_path / "p.jsonl", tmp_path / "map.toml")
    assert not report.reasons
    assert entries(report.out) == [as_kept(entry) for entry in catalog]


@pytest.mark.parametrize("name", ["flipkart", "wdc_pave", "implicitave"])
def test_guessed_columns_lose_no_product_and_no_attribute(tmp_path: Path, name: str) -> None:
    source = FOLDER / name / "listings.jsonl"
    if not source.is_file():
        pytest.skip(f"there is no {source}: set LISTUNE_CATALOGS to the folder of the catalogs")
    catalog = entries(source)
    write_csv(tmp_path / "f.csv", catalog)
    report = import_files([tmp_path / "f.csv"], tmp_path / "p.jsonl")
    found = entries(report.out)
    assert [p["product_id"] for p in found] == [entry["product_id"] for entry in catalog]
    assert [p["category"] for p in found] == [entry["category"] for entry in catalog]
    wanted = [sum(map(any, entry["catalog"].values())) for entry in catalog]
    got = [len(entry["catalog"]) for entry in found]
    refused = sum(n for (attribute, _), n in report.reasons.items() if attribute)
    assert sum(wanted) - sum(got) <= refused
    assert refused <= 0.01 * sum(wanted)
