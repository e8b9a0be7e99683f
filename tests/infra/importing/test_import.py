"""The whole of an import, from a file to a catalog that the other commands read."""

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.catalogs.catalog import read_catalog
from infra.importing.errors import ImportFault
from infra.importing.map_file import map_text, read_map
from infra.importing.run import ImportReport, import_files
from schemas.category import Attribute, CategorySchema, CategorySchemas

SHOP = """\
SKU;Kategorie;Produktname;Beschreibung;Farbe;Gewicht (kg);Spülmaschinenfest;Preis
a1;Tassen ;Becher "Nord";"<p>Schön &amp; gut</p>";rot|blau;1,5;Ja;3,99
a2;tassen;Becher klein;;blau|rot;1.234;Nein;4
a3;Teller;"Teller
flach";;rot;2,25;ja;4
a3;Teller;Teller tief;;rot;2,25;Ja;4
a4;;Ohne Kategorie;;rot;2,25;Ja;4
"""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def imported(path: Path, content: str | bytes, map_path: Path | None = None) -> ImportReport:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return import_files([path], path.parent / "out" / "products.jsonl", map_path)


def products(tmp_path: Path, content: str | bytes, name: str = "f.csv") -> list[dict[str, Any]]:
    return lines(imported(tmp_path / name, content).out)


def test_a_shop_export_becomes_a_catalog_with_a_map_and_what_was_rejected(tmp_path: Path) -> None:
    report = imported(tmp_path / "shop.csv", SHOP)
    first, second, third = lines(report.out)
    assert first == {
        "product_id": "a1",
        "category": "Tassen",
        "title": 'Becher "Nord"',
        "description": "Schön & gut",
        "catalog": {
            "Farbe": ["rot", "blau"],
            "Gewicht": ["1.5 kg"],
            "Spülmaschinenfest": ["yes"],
        },
    }
    assert (second["category"], second["catalog"]["Gewicht"]) == ("Tassen", ["1234 kg"])
    assert third["title"] == "Teller flach"
    assert [(r["line"], r["product_id"], r["attribute"]) for r in lines(report.rejected)] == [
        (6, "a3", None),
        (7, "a4", None),
    ]
    assert "line 5 already" in lines(report.rejected)[0]["reason"]
    assert (report.rows, report.products, report.rejected_rows) == (5, 3, 2)
    assert "'tassen' is taken for 'Tassen'" in next(iter(report.hints))


def test_the_catalog_is_read_by_what_reads_catalogs(tmp_path: Path) -> None:
    report = imported(tmp_path / "shop.csv", SHOP)
    farbe = Attribute(name="Farbe", type="enum", values=("rot", "blau"), multi_value=True)
    weight = Attribute(name="Gewicht", type="number", units=("kg",))
    schemas = CategorySchemas(
        CategorySchema(category=name, attributes=(farbe, weight)) for name in ("Tassen", "Teller")
    )
    read, _ = read_catalog(report.out, schemas)
    assert read[0].truth == {"Farbe": ["rot", "blau"], "Gewicht": ["1.5 kg"]}


def test_the_same_file_and_map_give_the_same_bytes(tmp_path: Path) -> None:
    report = imported(tmp_path / "shop.csv", SHOP)
    before = [path.read_bytes() for path in (report.out, report.rejected, report.map_path)]
    again = import_files(
        [tmp_path / "shop.csv"], tmp_path / "b" / "products.jsonl", report.map_path
    )
    assert again.out.read_bytes() == before[0]
    assert again.rejected.read_bytes() == before[1]
    assert report.map_path.read_bytes() == before[2], "a map that is given is not written"
    assert not (tmp_path / "b" / "map.toml").exists()


def test_a_map_is_the_same_when_it_is_written_and_read(tmp_path: Path) -> None:
    report = imported(tmp_path / "shop.csv", SHOP)
    assert read_map(report.map_path) == report.import_map
    assert map_text(read_map(report.map_path), {}) == map_text(report.import_map, {})


def test_each_guess_stands_in_the_map_with_its_reason(tmp_path: Path) -> None:
    text = imported(tmp_path / "shop.csv", SHOP).map_path.read_text(encoding="utf-8")
    assert '# named so\ntitle = "Produktname"' in text
    assert "# 4 cells such as '1,5' have no other reading" in text
    assert "# Preis: about selling, by its name\n" in text
    entries = [line for line in text.splitlines() if line.startswith(("Farbe", "Gewicht", "id ="))]
    assert all(text[: text.index(line)].splitlines()[-1].startswith("# ") for line in entries)


def test_a_map_that_somebody_edited_is_kept_when_another_is_guessed(tmp_path: Path) -> None:
    report = imported(tmp_path / "shop.csv", SHOP)
    report.map_path.write_text("# mine\n", encoding="utf-8")
    imported(tmp_path / "shop.csv", SHOP)
    assert (report.map_path.parent / "map.toml.before").read_text(encoding="utf-8") == "# mine\n"


def test_what_the_map_says_holds_over_the_guess(tmp_path: Path) -> None:
    report = imported(tmp_path / "shop.csv", SHOP)
    edited = report.map_path.read_text(encoding="utf-8").replace(
        'category = "Kategorie"', 'category = "=Geschirr"'
    )
    edited += '\n[categories]\nGeschirr = "Home > Tableware"\n\n[aliases]\nFarbe = "Color"\n'
    (tmp_path / "mine.toml").write_text(edited, encoding="utf-8")
    report = imported(tmp_path / "shop.csv", SHOP, tmp_path / "mine.toml")
    assert {p["category"] for p in lines(report.out)} == {"Home > Tableware"}
    assert lines(report.out)[0]["catalog"]["Color"] == ["rot", "blau"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[columns]\ntitel = "x"\n', "columns.titel"),
        ("[columns\n", "not TOML"),
        ('[columns]\ntitle = "x"\n', "the file has none of its columns, such as 'x'"),
    ],
)
def test_a_map_with_a_fault_is_one_sentence(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "map.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ImportFault, match=fault):
        imported(tmp_path / "shop.csv", SHOP, tmp_path / "map.toml")


def test_where_no_row_is_a_product_the_import_ends_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ImportFault, match=r"none of the 2 rows is a product \(title: is empty"):
        imported(tmp_path / "f.csv", "sku,category,title,color\n1,Mugs,,red\n2,Mugs,,blue\n")


# ------------------------------------------------------------------- containers and encodings

TABLE = [
    {"sku": "a", "category": "Mugs", "title": "Café mug", "color": "blau €", "height": "5"},
    {"sku": "b", "category": "Mugs", "title": "Mug, blue", "color": "rot €", "height": "6"},
    {"sku": "c", "category": "Mugs", "title": 'Mug 3"', "color": "grün €", "height": "7"},
]


def as_csv(delimiter: str = ",") -> str:
    import csv
    import io

    file = io.StringIO()
    writer = csv.DictWriter(file, list(TABLE[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(TABLE)
    return file.getvalue()


EXPECTED = [
    {
        "product_id": row["sku"],
        "category": "Mugs",
        "title": row["title"],
        "catalog": {"color": [row["color"]], "height": [row["height"]]},
    }
    for row in TABLE
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    assert products(tmp_path, as_csv(delimiter)) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_the_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    assert products(tmp_path, as_csv(";").encode(encoding)) == EXPECTED


def test_excels_hint_of_the_delimiter_is_no_header(tmp_path: Path) -> None:
    assert products(tmp_path, "sep=;\n" + as_csv(";")) == EXPECTED


def test_latin_1_is_found_too(tmp_path: Path) -> None:
    content = "sku,category,title,color\n1,Möbel,Stuhl grün,grün\n2,Möbel,Tisch,weiß\n"
    found = products(tmp_path, content.encode("latin-1"))
    assert [p["catalog"]["color"] for p in found] == [["grün"], ["weiß"]]


def test_a_cell_that_is_not_of_the_encoding_is_refused_and_its_product_kept(tmp_path: Path) -> None:
    content = as_csv().encode().replace("rot €".encode(), b"rot \xff")
    content = content.replace("Café mug".encode(), "Café mug ä ö ü ß é è à ç ñ".encode())
    report = imported(tmp_path / "f.csv", content)
    assert "color" not in lines(report.out)[1]["catalog"]
    assert lines(report.rejected)[0]["attribute"] == "color"
    assert "half of a character" in lines(report.rejected)[0]["reason"]


def test_json_in_an_array_and_in_lines_packed_or_not(tmp_path: Path) -> None:
    array = json.dumps(TABLE, ensure_ascii=False).encode()
    per_line = "\n".join(json.dumps(row) for row in TABLE).encode()
    nested = json.dumps({"products": TABLE}).encode()
    for number, content in enumerate((array, per_line, nested, b"\xef\xbb\xbf" + array)):
        assert products(tmp_path, content, f"{number}.json") == EXPECTED
        assert products(tmp_path, gzip.compress(content), f"{number}.json.gz") == EXPECTED
    assert products(tmp_path, gzip.compress(as_csv().encode()), "f.csv.gz") == EXPECTED


def test_nested_json_has_dots_lists_and_named_values(tmp_path: Path) -> None:
    row = {
        "id": 17,
        "category": "Mugs",
        "title": "Mug",
        "color": ["red", "blue, dark"],
        "size": {"height": 1.50, "lid": True, "depth": None},
        "attributes": [{"name": "Material", "value": "clay"}, {"name": "Age", "value": 3}],
    }
    found = products(tmp_path, json.dumps(row), "f.jsonl")
    assert found[0]["product_id"] == "17"
    assert found[0]["catalog"] == {
        "color": ["red", "blue, dark"],
        "size.height": ["1.5"],
        "size.lid": ["true"],
        "Material": ["clay"],
        "Age": ["3"],
    }


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        (["Home", "Kitchen", "Mugs"], "Home > Kitchen > Mugs"),
        (["Sale", "Home > Mugs"], "Home > Mugs"),
        ("Home>Kitchen » Mugs", "Home > Kitchen > Mugs"),
    ],
)
def test_a_list_of_categories_is_a_path_or_paths(
    tmp_path: Path, category: object, expected: str
) -> None:
    row = {"id": 1, "category": category, "title": "Mug"}
    assert products(tmp_path, json.dumps(row), "f.jsonl")[0]["category"] == expected


def test_a_line_that_is_no_json_is_rejected_and_the_others_are_products(tmp_path: Path) -> None:
    per_line = [json.dumps(row) for row in TABLE]
    report = imported(tmp_path / "f.jsonl", "\n".join([per_line[0], "{broken", *per_line[1:]]))
    assert lines(report.out) == EXPECTED
    assert [r["line"] for r in lines(report.rejected)] == [2]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    duckdb.execute(
        f"COPY (SELECT 1 sku, 'Mugs' category, 'Mug' title, ['red', 'blue'] color, 1.50 height, "
        f"DATE '2024-03-04' AS since) TO '{path}'"
    )
    report = import_files([path], tmp_path / "products.jsonl")
    assert lines(report.out)[0]["catalog"] == {
        "color": ["red", "blue"],
        "height": ["1.5"],
        "since": ["2024-03-04"],
    }


def test_excel_with_dates_booleans_and_a_title_above_the_header(tmp_path: Path) -> None:
    import datetime

    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Our products"])
    sheet.append(["sku", "category", "title", "since", "dishwasher", "height"])
    for number in range(1, 5):
        day = datetime.date(2024, 3, number)
        sheet.append([number, "Mugs", f"Mug {number}", day, number > 1, number + 0.5])
    book.save(tmp_path / "f.xlsx")
    report = import_files([tmp_path / "f.xlsx"], tmp_path / "products.jsonl")
    assert lines(report.out)[0] == {
        "product_id": "1",
        "category": "Mugs",
        "title": "Mug 1",
        "catalog": {"since": ["2024-03-01"], "dishwasher": ["no"], "height": ["1.5"]},
    }


def test_several_files_are_one_catalog(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sku,category,title\n1,Mugs,Mug\n2,Mugs,Cup\n4,Mugs,Jar\n")
    (tmp_path / "b.csv").write_text("sku,category,title\n3,Mugs,Pot\n1,Mugs,Mug again\n")
    report = import_files([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "p.jsonl")
    assert [p["product_id"] for p in lines(report.out)] == ["1", "2", "4", "3"]
    assert "stands in a.csv, line 2" in lines(report.rejected)[0]["reason"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (b"\xd0\xcf\x11\xe0 old", "before 2007"),
        (b"<unknown/>", "unknown kind"),
        (b"sku,title\n", "has no rows"),
        (b"[" * 5000 + b"]" * 5000, "none of the 1 rows is a product .is nested too deep"),
        (bytes(range(32)) * 50, "is no text"),
        (gzip.compress(b"sku,title\n1,a\n" * 99, mtime=0)[:-9], "is no whole gzip file"),
        (b"PK\x03\x04junk", "is no Excel file"),
        (b'[{"sku": 1}, {"sku":', "give an array of objects"),
        (b'<rss xmlns:g="http://base.google.com/ns/1.0"><item>', "not XML"),
        (
            b'sku,title\n1,"' + b"x" * 5_000_000,
            "line 2: a cell is longer than 4,194,304 characters",
        ),
    ],
)
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, content: bytes, fault: str) -> None:
    with pytest.raises(ImportFault, match=fault):
        imported(tmp_path / "f", content)


@pytest.mark.slow
def test_other_processes_make_the_same_of_a_file(tmp_path: Path) -> None:
    """Sets of texts have another order in each process: no guess and no value goes by it."""
    import os
    import subprocess
    import sys

    header = [f"Attribute {n} {what}" for n in ("1", "01", "2") for what in ("name", "value")]
    rows = [f"{n},Mugs,Mug {n},red{n},Size,{n},Size,L,Care,wash" for n in range(9)]
    path = tmp_path / "f.csv"
    path.write_text("\n".join([f"sku,category,title,color,{','.join(header)}", *rows]))
    code = (
        "import sys; from pathlib import Path; from infra.importing.run import import_files; "
        "import_files([Path(sys.argv[1])], Path(sys.argv[2]))"
    )
    found = []
    for seed in ("1", "2", "3"):
        out = tmp_path / seed / "products.jsonl"
        command = [sys.executable, "-c", code, str(path), str(out)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        found.append([one.read_bytes() for one in sorted(out.parent.iterdir())])
    assert found[0] == found[1] == found[2]
