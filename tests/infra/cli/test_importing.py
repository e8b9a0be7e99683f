"""`listune import` says what became of a file."""

from pathlib import Path

from typer.testing import CliRunner

from infra.cli.app import app
from schemas.sources.json_schema import read_schemas

SHOP = "sku,category,title,weight\n1,Mugs,Mug,1.5\n2,mugs,Cup,x1\n2,Mugs,Cup,2.5\n3,Mugs,Pot,1.25\n"


def test_an_import_tells_what_was_left_out_and_where_everything_is(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(SHOP, encoding="utf-8")
    out = str(tmp_path / "products.jsonl")
    command = ["import", str(tmp_path / "shop.csv"), "--out", out, "--most-rejected", "0.5"]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0, said.output
    assert "3 products with 3 values of 4 rows" in said.output
    assert "'mugs' is taken for 'Mugs'" in said.output
    assert "shop.csv, line 4" in said.output
    assert "map.toml has what was guessed" in said.output
    again = CliRunner().invoke(app, [*command, "--map", str(tmp_path / "map.toml")])
    assert again.exit_code == 0
    assert "has what was guessed" not in again.output


def test_an_import_induces_a_schema_and_says_why_and_at_what_cost(tmp_path: Path) -> None:
    rows = "".join(f"{n},Mugs,Mug {n},{'red' if n % 2 else 'blue'}\n" for n in range(60))
    shop = f"sku,category,title,color\n{rows}90,Mugs,Mug,sky\n"
    (tmp_path / "shop.csv").write_text(shop, encoding="utf-8")
    out, schema = tmp_path / "products.jsonl", tmp_path / "schema.json"
    command = ["import", str(tmp_path / "shop.csv"), "--out", str(out), "--schema-out", str(schema)]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0, said.output
    (attribute,) = read_schemas(schema)["Mugs"].attributes
    assert attribute.values == ("blue", "red")
    assert "1 rare one is cut off" in said.output
    assert "1 of 61 values would be left out" in said.output


def test_an_import_says_that_it_found_no_id_no_category_and_no_attribute(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("title\nA red mug\nA blue cup\n", encoding="utf-8")
    out, schema = tmp_path / "products.jsonl", tmp_path / "schema.json"
    command = ["import", str(tmp_path / "shop.csv"), "--out", str(out), "--schema-out", str(schema)]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0, said.output
    told = " ".join(said.output.split())
    assert "no column is the id: products are called by their rows, such as row-1" in told
    assert "no column is the category: all products are of one, Products" in told
    assert "asks for nothing: no product has a value of an attribute" in told
    assert "would be left out" not in told


def test_an_import_says_that_it_took_an_encoding_for_another(tmp_path: Path) -> None:
    text = "sku,category,title\n1,Кружки,Большая кружка\n2,Кружки,Малая кружка\n"
    for encoding, told in (("cp1251", True), ("utf-8", False)):
        (tmp_path / "shop.csv").write_text(text, encoding=encoding)
        command = ["import", str(tmp_path / "shop.csv"), "--out", str(tmp_path / "p.jsonl")]
        said = " ".join(CliRunner().invoke(app, command).output.split())
        assert ("was read as cp1252, Western European; where letters are wrong" in said) is told


def test_an_import_writes_over_nothing_that_it_reads(tmp_path: Path) -> None:
    shop = tmp_path / "products.jsonl"
    shop.write_text('{"sku": "1", "category": "Mugs", "title": "Mug"}\n', encoding="utf-8")
    said = CliRunner().invoke(app, ["import", str(shop), "--schema-out", str(shop)])
    assert said.exit_code == 1
    assert "would be written over" in str(said.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["products.jsonl"]


def test_an_import_fails_where_too_many_rows_are_no_product(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(SHOP, encoding="utf-8")
    out = tmp_path / "products.jsonl"
    command = ["import", str(tmp_path / "shop.csv"), "--out", str(out)]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 1
    assert "1 of 4 rows are no product, where at most 10% may be" in " ".join(said.output.split())
    assert len(out.read_text(encoding="utf-8").splitlines()) == 3
    assert CliRunner().invoke(app, [*command, "--most-rejected", "0.25"]).exit_code == 0


def test_a_strict_import_stops_at_the_first_row_with_a_fault(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(SHOP, encoding="utf-8")
    out = tmp_path / "products.jsonl"
    command = ["import", str(tmp_path / "shop.csv"), "--out", str(out), "--strict"]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 1
    assert "shop.csv, line 4: product_id: stands in shop.csv, line 3 already" in (
        " ".join(f"{said.output} {said.exception}".split())
    )
    assert not out.exists()
