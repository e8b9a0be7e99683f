"""What nobody meant to give is read as it is meant, or refused in one sentence, and counted."""

import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from infra.importing.errors import ImportFault
from infra.importing.places import check_places
from infra.importing.run import ImportReport, import_files

HEADER = "sku,category,title,color\n"
ROWS = "".join(f"s{n},Mugs,Mug number {n},{'red' if n % 2 else 'blue'}\n" for n in range(12))


def imported(folder: Path, content: str | bytes, name: str = "f.csv") -> ImportReport:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_files([path], folder / "products.jsonl")


def products(report: ImportReport) -> list[Any]:
    return [json.loads(line) for line in report.out.read_text("utf-8").splitlines()]


def faults(report: ImportReport) -> Mapping[tuple[str | None, str], int]:
    return report.reasons


# ----------------------------------------------------------------------------- where it is written


@pytest.mark.parametrize(
    ("out", "schema_out", "fault"),
    [
        ("f.csv", None, "f.csv: is read here and would be written over; give another --out"),
        ("p.jsonl", "f.csv", "would be written over; give another --schema-out"),
        ("p.jsonl", "m.toml", "would be written over; give another --schema-out"),
        ("p.jsonl", "p.jsonl", "is to be two files, --out and --schema-out; give two paths"),
        ("p.jsonl", "p.rejected.jsonl", "is to be two files, the rejected rows and --schema-out"),
        (".", None, "is a folder; give --out another place"),
        ("p.jsonl", ".", "is a folder; give --schema-out another place"),
    ],
)
def test_nothing_that_is_read_or_just_written_is_written_over(
    tmp_path: Path, out: str, schema_out: str | None, fault: str
) -> None:
    file = tmp_path / "f.csv"
    file.write_text(HEADER + ROWS, encoding="utf-8")
    schema = None if schema_out is None else tmp_path / schema_out
    with pytest.raises(ImportFault, match=fault):
        check_places([file], tmp_path / out, tmp_path / "m.toml", schema)
    check_places([file], tmp_path / "p.jsonl", tmp_path / "m.toml", tmp_path / "s.json")


def test_the_map_that_is_guessed_has_a_place_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ImportFault, match="is to be two files, the map and --schema-out"):
        check_places([], tmp_path / "p.jsonl", None, tmp_path / "map.toml")


def test_a_link_to_what_is_read_is_that_file(tmp_path: Path) -> None:
    file, link = tmp_path / "f.csv", tmp_path / "products.jsonl"
    file.write_text(HEADER + ROWS, encoding="utf-8")
    link.symlink_to(file)
    with pytest.raises(ImportFault, match="would be written over"):
        check_places([file], link, None, None)


def test_what_can_be_read_only_once_is_to_be_saved_first(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImportFault, match=r"is a pipe or a device.*; save it to a file"):
        check_places([tmp_path / "pipe"], tmp_path / "p.jsonl", None, None)


# ------------------------------------------------------------------------------------------ maps


@pytest.mark.parametrize(
    ("attribute", "fault"),
    [
        ('{column = "color", kind = "number", locale = "xx-YY"}', "attributes.C.locale"),
        ('{column = "color", kind = "date", date_format = "%Q"}', "attributes.C.date_format"),
        ('{column = "color", kind = "date", date_format = "%"}', "attributes.C.date_format"),
    ],
)
def test_a_map_that_names_what_there_is_not_is_one_sentence(
    tmp_path: Path, attribute: str, fault: str
) -> None:
    file, own = tmp_path / "f.csv", tmp_path / "m.toml"
    file.write_text(HEADER + ROWS, encoding="utf-8")
    own.write_text(f'[columns]\ntitle = "title"\n[attributes]\nC = {attribute}\n', encoding="utf-8")
    with pytest.raises(ImportFault, match=fault):
        import_files([file], tmp_path / "p.jsonl", own)


def test_a_column_of_the_map_that_no_row_has_is_told_of(tmp_path: Path) -> None:
    file, own = tmp_path / "f.csv", tmp_path / "m.toml"
    file.write_text(HEADER + ROWS, encoding="utf-8")
    text = '[columns]\nid = "sku"\ntitle = "title"\ncategory = "category"\n[attributes]\n'
    own.write_text(f'{text}Color = {{column = "colour"}}\n', encoding="utf-8")
    report = import_files([file], tmp_path / "p.jsonl", own)
    assert list(report.hints) == ["no row has the column 'colour' of the map; see its spelling"]


def test_a_map_of_another_encoding_that_stands_there_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_bytes(b"# f\xfcr den Shop")
    imported(tmp_path, HEADER + ROWS)
    assert (tmp_path / "map.toml.before").read_bytes() == b"# f\xfcr den Shop"


def test_a_columns_name_is_no_constant_whatever_it_begins_with(tmp_path: Path) -> None:
    rows = "".join(f"s{n},Mugs,Mug number {n},red {n}\n" for n in range(4))
    report = imported(tmp_path, f"sku,category,=title,=color\n{rows}")
    assert products(report)[1]["title"] == "Mug number 1"
    assert products(report)[1]["catalog"] == {"color": ["red 1"]}
    line = '{"sku": "a", "category": "Mugs", "=title": "Mug", "=": {"=c": "red"}}\n'
    (mug,) = products(imported(tmp_path, line, "f.jsonl"))
    assert (mug["title"], mug["catalog"]) == ("Mug", {"c": ["red"]})


def test_half_a_character_in_a_columns_name_is_left_out_of_it(tmp_path: Path) -> None:
    line = '{"sku": "%s", "category": "Mugs", "title": "Mug", "co\\ud83dlor": "red"}\n'
    report = imported(tmp_path, line % "a" + line % "b", "f.jsonl")
    assert [p["catalog"] for p in products(report)] == [{"color": ["red"]}] * 2
    text = (HEADER.replace("color", "größe") + ROWS + "s99,Mugs,äöü,red\n").encode()
    report = imported(tmp_path, text.replace("ß".encode(), b"\xdf"))
    assert products(report)[-1]["catalog"] == {"gröe": ["red"]}


# ---------------------------------------------------------------------------------------- values


def test_what_only_begins_with_a_number_stays_as_it_is_written(tmp_path: Path) -> None:
    odd = ["16:9", "10-bit", "1+1", "5/8 x", "3) left"]
    rows = "".join(f"s{n},Mugs,Mug {n},{odd[n % 5]},{n} cm\n" for n in range(20))
    rows += "s20,Mugs,Mug 20,4:3,2:1\n"
    found = products(imported(tmp_path, f"sku,category,title,kind,height\n{rows}"))
    assert [p["catalog"]["kind"] for p in found[:5]] == [[text] for text in odd]
    assert found[20]["catalog"] == {"kind": ["4:3"], "height": ["2:1"]}


def test_a_unit_of_a_header_is_written_as_usual(tmp_path: Path) -> None:
    rows = "".join(f"s{n},Mugs,Mug {n},{n}.5,{n}00\n" for n in range(1, 5))
    found = products(imported(tmp_path, f"sku,category,title,Weight (KG),Volume (ML)\n{rows}"))
    assert found[0]["catalog"] == {"Weight": ["1.5 kg"], "Volume": ["100 ml"]}


def test_long_numbers_that_a_spreadsheet_has_shortened_are_refused_and_counted(
    tmp_path: Path,
) -> None:
    rows = "".join(f"s{n},Mugs,Mug {n},4.00638E+12,{n}E+0\n" for n in range(4))
    report = imported(tmp_path, f"sku,category,title,ean,more\n{rows}s4,Mugs,4.0E+12,,\n")
    assert [p["catalog"] for p in products(report)] == [{"more": [f"{n}E+0"]} for n in range(4)]
    shortened = "is a long number that a spreadsheet has shortened; write all of its digits"
    assert faults(report) == {("ean", shortened): 4, (None, f"title: {shortened}"): 1}


def test_shortened_ids_are_no_products_even_where_they_differ(tmp_path: Path) -> None:
    rows = "".join(f"4.0063{n}E+12,Mugs,Mug {n}\n" for n in range(4)) + "x,Mugs,Mug\n"
    report = imported(tmp_path, f"sku,category,title\n{rows}")
    assert [p["product_id"] for p in products(report)] == ["x"]
    assert report.rejected_rows == 4


@pytest.mark.parametrize("word", ["#REF!", "#DIV/0!", "#NAME?", "#VALUE!", "#NUM!", "#NULL!"])
def test_errors_of_a_spreadsheets_formulas_are_refused_and_counted(
    tmp_path: Path, word: str
) -> None:
    report = imported(tmp_path, f"{HEADER}{ROWS}s98,Mugs,Mug,{word}\ns99,Mugs,{word},red\n")
    assert report.products == 13
    error = "is the error of a spreadsheet's formula; mend it there"
    assert faults(report) == {("color", error): 1, (None, f"title: {error}"): 1}


def test_days_that_a_spreadsheet_counts_are_no_dates_that_anybody_reads(tmp_path: Path) -> None:
    rows = "".join(f"s{n},Mugs,Mug {n},{45_000 + n},{n}\n" for n in range(4))
    report = imported(tmp_path, f"sku,category,title,release date,height\n{rows}")
    ((attribute, reason),) = faults(report)
    assert attribute == "release date"
    assert "is a spreadsheet's count of days; format the column as dates" in reason


def test_what_stands_for_no_value_is_no_id_and_no_category(tmp_path: Path) -> None:
    text = f"{HEADER}{ROWS}N/A,Mugs,Mug,red\ns98,-,Mug,red\ns99,Mugs,None,red\n"
    report = imported(tmp_path, text)
    assert report.products == 13, "a title may be any word"
    assert sorted(reason for _, reason in faults(report)) == [
        f"{name}: is empty; fill the column, or name another in the map"
        for name in ("category", "product_id")
    ]
    assert [one.value for one in report.examples.values()] == ["N/A", "-"]


# ------------------------------------------------------------------------------------------ files


def test_a_single_byte_of_another_encoding_spoils_no_other_text(tmp_path: Path) -> None:
    report = imported(tmp_path, (HEADER + ROWS + "s99,Mugs,Käß,rot\n").encode() + b"s9,M,K\xe4,r\n")
    assert products(report)[12]["title"] == "Käß"
    ((_, reason),) = faults(report)
    assert "half of a character" in reason


def test_lines_of_json_with_a_comma_behind_each_are_read(tmp_path: Path) -> None:
    one = {"sku": "a", "category": "Mugs", "title": "Mug, a big one"}
    lines = ",\n".join(json.dumps(one | {"sku": sku}) for sku in "abc")
    assert len(products(imported(tmp_path, f"{lines},\n", "f.jsonl"))) == 3


def zipped(name: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr(name, HEADER + ROWS)
    return held.getvalue()


def tarred() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as file:
        file.addfile(tarfile.TarInfo("export.csv"))
    return held.getvalue()


ENTRY = '{"sku": "a", "category": "Mugs", "title": "Mug"}'


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (zipped("export.csv"), "is a zip archive, of export.csv; unpack it and give that"),
        (tarred(), "is a tar archive; unpack it and give what is in it"),
        (gzip.compress(tarred()), "is a tar archive; unpack it"),
        (gzip.compress(gzip.compress(b"sku,title\n")), "is packed twice; unpack it once"),
        (f"[{ENTRY},{ENTRY},]", "no whole JSON array: it breaks near its item 3"),
        (f"[{ENTRY},{ENTRY[:20]}", "no whole JSON array: it breaks near its item 2"),
        (f"[1]\n[{ENTRY}]", "no whole JSON array"),
        (HEADER + "s1,Mugs,Mug," + "x" * 5_000_000, "is longer than 4,194,304 characters: shorten"),
        (
            ROWS,
            "f.csv: its first row looks like a product.*column 2 is called 'Mugs' and has 'Mugs'",
        ),
    ],
)
def test_a_file_that_is_no_table_says_what_it_is_and_what_to_do(
    tmp_path: Path, content: str | bytes, fault: str
) -> None:
    with pytest.raises(ImportFault, match=fault):
        imported(tmp_path, content)
    assert [path.name for path in tmp_path.iterdir()] == ["f.csv"]


def book(path: Path, **sheets: list[list[str]]) -> Path:
    made = Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


GOODS = [["sku", "category", "title"], ["a", "Mugs", "Mug"], ["b", "Mugs", "Cup"]]
READ_ME = [["How to fill in"], ["write in the next sheet"], ["and save"]]


@pytest.mark.parametrize(
    ("sheets", "taken"),
    [
        ({"One": [], "Two": GOODS}, "Two"),
        ({"Read me": READ_ME, "Goods": GOODS}, "Goods"),
        ({"Goods": GOODS, "More": GOODS}, ""),
        ({"One": [], "Two": [["a", "b"], ["A big red mug", "c"]]}, "Two"),
    ],
)
def test_the_sheet_that_has_products_is_taken_and_the_map_says_so(
    tmp_path: Path, sheets: dict[str, list[list[str]]], taken: str
) -> None:
    report = import_files([book(tmp_path / "f.xlsx", **sheets)], tmp_path / "products.jsonl")
    assert report.import_map.file.sheet == taken
    said = report.map_path.read_text(encoding="utf-8")
    assert ("# the first sheet" in said) == bool(taken)


def test_sheets_without_a_cell_are_empty(tmp_path: Path) -> None:
    with pytest.raises(ImportFault, match="has no rows; give a file with products"):
        import_files([book(tmp_path / "f.xlsx", A=[], B=[])], tmp_path / "products.jsonl")


def test_a_workbook_that_its_reader_fails_on_is_one_sentence(tmp_path: Path) -> None:
    made = Workbook()
    made.create_chartsheet(index=0)
    made.save(tmp_path / "f.xlsx")
    with pytest.raises(ImportFault, match=r"cannot be read as Excel .*; save it anew"):
        import_files([tmp_path / "f.xlsx"], tmp_path / "products.jsonl")


def test_an_import_that_fails_leaves_what_stood_there_and_no_halves(tmp_path: Path) -> None:
    (tmp_path / "products.jsonl").write_text("of before\n", encoding="utf-8")
    with pytest.raises(ImportFault, match=r"none of the 2 rows .*products.rejected.jsonl"):
        imported(tmp_path, "sku,category,title\na,-,Mug\nb,-,Cup\n")
    assert (tmp_path / "products.jsonl").read_text(encoding="utf-8") == "of before\n"
    assert (tmp_path / "products.rejected.jsonl").exists()
    with pytest.raises(ImportFault, match="is the header once more"):
        import_files([again(tmp_path)], tmp_path / "products.jsonl", strict=True)
    assert not list(tmp_path.glob("*.part"))


def again(folder: Path) -> Path:
    (folder / "again.csv").write_text(HEADER + ROWS + HEADER, encoding="utf-8")
    return folder / "again.csv"


def test_json_that_is_nested_without_an_end_is_a_row_that_says_so(tmp_path: Path) -> None:
    deep = f'{{"sku": "b", "x": {"[" * 5000}{"]" * 5000}}}'
    report = imported(tmp_path, f"{ENTRY}\n{deep}\n", "f.jsonl")
    assert list(faults(report)) == [(None, "is nested too deep; give objects")]


def test_a_comma_in_the_title_above_a_header_parts_nothing(tmp_path: Path) -> None:
    rows = "".join(f"s{n};Mugs;Mug {n};{n},5 kg\n" for n in range(20))
    text = f"Export, 2024\nsku;category;title;weight\n{rows}"
    assert products(imported(tmp_path, text))[0]["catalog"] == {"weight": ["0.5 kg"]}


def test_a_header_that_comes_again_is_no_product(tmp_path: Path) -> None:
    report = imported(tmp_path, HEADER + ROWS + HEADER + ROWS.replace("s", "t"))
    assert (report.products, report.rejected_rows) == (24, 1)
    assert list(faults(report)) == [(None, "is the header once more; leave it out")]


def test_a_list_in_each_row_does_not_part_the_columns(tmp_path: Path) -> None:
    tags = "|".join(f"t{n}" for n in range(30))
    rows = "".join(f"s{n},Mugs,Mug {n},{tags}\n" for n in range(6))
    report = imported(tmp_path, f"sku,category,title,tags\n{rows}")
    assert len(products(report)[0]["catalog"]["tags"]) == 30


# ------------------------------------------------------------------------------------------ guesses


def test_rows_that_stand_there_twice_word_by_word_are_told_of_and_no_variants(
    tmp_path: Path,
) -> None:
    report = imported(tmp_path, HEADER + ROWS + ROWS)
    assert report.import_map.columns.id == "sku"
    assert (report.products, report.rejected_rows) == (12, 12)


def test_one_very_long_cell_makes_no_description_of_a_column(tmp_path: Path) -> None:
    report = imported(tmp_path, f"{HEADER}{ROWS}s99,Mugs,Mug,{'x' * 100_000}\n")
    assert report.import_map.columns.description is None
    assert "color" in products(report)[0]["catalog"]
