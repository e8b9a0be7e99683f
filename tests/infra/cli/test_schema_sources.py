"""`listune schema` makes a schema file of a source, and says what became of it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.catalogs.catalog import read_catalog
from infra.cli.app import app
from schemas.errors import SchemaError
from schemas.sources.json_schema import read_schemas

TAXONOMY = """# Google_Product_Taxonomy_Version: 2021-09-21
1 - Home
2 - Home > Lamps
3 - Home > Mugs
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "taxonomy-with-ids.en-US.txt").write_text(TAXONOMY)
    return tmp_path / "taxonomy-with-ids.en-US.txt"


def catalog(tmp_path: Path, *categories: object) -> Path:
    lines = [
        json.dumps(
            {"product_id": str(n), "category": name, "title": "A", "catalog": {"color": "x"}}
        )
        for n, name in enumerate(categories)
    ]
    (tmp_path / "products.jsonl").write_text("\ufeff" + "\n".join([*lines, "{", ""]))
    return tmp_path / "products.jsonl"


def run(*words: object, code: int = 0) -> str:
    said = CliRunner().invoke(app, ["schema", *map(str, words)])
    if isinstance(said.exception, SystemExit) or said.exception is None:
        assert said.exit_code == code, said.output
        return said.output
    raise said.exception


def test_a_catalog_leaves_the_categories_that_its_products_have(
    source: Path, tmp_path: Path
) -> None:
    out, products = tmp_path / "schema.json", catalog(tmp_path, "Lamps", "Lamps", "Home > Mugs")
    said = run("google", source, "--out", out, "--catalog", products)
    assert list(read_schemas(out)) == ["Home > Lamps", "Home > Mugs"]
    assert "1 lines of" in said  # the one that is no JSON
    assert f"the schema is in {out}" in said


def test_the_products_fit_the_schema_that_was_made_for_them(source: Path, tmp_path: Path) -> None:
    out, products = tmp_path / "schema.json", catalog(tmp_path, "Lamps", "3")
    run("google", source, "--out", out, "--catalog", products)
    products.write_text("\n".join(products.read_text("utf-8-sig").splitlines()[:-1]))
    found, warnings = read_catalog(products, read_schemas(out))
    assert [product.category for product in found] == ["Home > Lamps", "Home > Mugs"]
    assert warnings == []


def test_categories_that_the_source_lacks_are_named_and_end_with_code_1(
    source: Path, tmp_path: Path
) -> None:
    out, products = tmp_path / "schema.json", catalog(tmp_path, "Lamps", "Lampps", "Lampps")
    said = run("google", source, "--out", out, "--catalog", products, code=1)
    assert "Lampps" in said
    assert "Home > Lamps" in said
    assert "2 products are of 1 categories that the source lacks" in said
    assert list(read_schemas(out)) == ["Home > Lamps"]


def test_a_category_is_taken_with_all_below_it(source: Path, tmp_path: Path) -> None:
    run("google", source, "--out", tmp_path / "a.json", "--category", "1")
    assert len(read_schemas(tmp_path / "a.json")) == 3


def test_a_schema_that_stood_there_is_kept(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "schema.json"
    out.write_text("{}")
    run("google", source, "--out", out)
    run("google", source, "--out", out)
    assert (tmp_path / "schema.json.before").read_text() == "{}"


def test_what_was_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    schema = {"title": "Mug", "properties": {"x": {"enum": ["a", " "]}, "y": {"type": "object"}}}
    (tmp_path / "mug.json").write_text(json.dumps(schema))
    said = run("json-schema", tmp_path / "mug.json", "--out", tmp_path / "schema.json")
    assert "is blank" in said
    assert "is an object of any names" in said


@pytest.mark.parametrize("command", ["shopify", "google", "json-schema", "etim", "gs1"])
def test_every_source_refuses_a_file_that_is_none_in_a_sentence(
    tmp_path: Path, command: str
) -> None:
    (tmp_path / "file.bin").write_bytes(b"\x00\x01\x02 nothing")
    for file in ("file.bin", "missing"):
        with pytest.raises(SchemaError, match=r"file\.bin|missing"):
            run(command, tmp_path / file, "--out", tmp_path / "schema.json")
    assert not (tmp_path / "schema.json").exists()


def test_every_source_has_an_example_in_its_help() -> None:
    for command in ("shopify", "google", "json-schema", "etim", "gs1"):
        assert f"listune schema {command}" in " ".join(run(command, "--help").split())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--category", "Lamp"], "the nearest are 'Home > Lamps'"),
        (["--category", "2", "--catalog", "products.jsonl"], "give one of them"),
        (["--catalog", "products.jsonl"], "the source has none of the 1 categories"),
    ],
)
def test_a_selection_of_nothing_is_refused(
    source: Path, tmp_path: Path, words: list[str], reason: str
) -> None:
    products = catalog(tmp_path, "Zebras")
    given = [str(products) if word == "products.jsonl" else word for word in words]
    with pytest.raises(SchemaError, match=reason):
        run("google", source, "--out", tmp_path / "schema.json", *given)
    assert not (tmp_path / "schema.json").exists()


def test_a_folder_in_the_place_of_the_schema_file_is_refused(source: Path) -> None:
    for folder in (Path(), source.parent):
        said = CliRunner().invoke(app, ["schema", "google", str(source), "--out", str(folder)])
        assert isinstance(said.exception, SchemaError)
        assert "give a file that can be written" in str(said.exception)
