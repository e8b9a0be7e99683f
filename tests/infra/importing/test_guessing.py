"""Any other table: columns are found by their names and cells, and each guess has its reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.catalogs.catalog import read_catalog
from infra.importing.run import ImportReport, import_files
from schemas.category import Attribute, AttributeType, CategorySchema

PICTURE = "https://i.example/a.jpg"


def imported(tmp_path: Path, rows: list[dict[str, str]]) -> tuple[ImportReport, list[Any]]:
    import csv

    path = tmp_path / "f.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    report = import_files([path], tmp_path / "products.jsonl")
    return report, [json.loads(line) for line in report.out.read_text("utf-8").splitlines()]


def row(number: int, **more: str) -> dict[str, str]:
    return {"sku": f"s{number}", "category": "Mugs", "title": f"Mug {number}", **more}


def reason(report: ImportReport, key: str) -> str:
    """The comment above a key of the map."""
    lines = report.map_path.read_text("utf-8").splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(f"{key} ="))
    return lines[at - 1]


@pytest.mark.parametrize(
    ("identity", "category", "title", "description"),
    [
        ("Artikelnummer", "Warengruppe", "Bezeichnung", "Beschreibung"),
        ("Référence", "Catégorie", "Désignation", "Descriptif"),
        ("Código", "Categoría", "Nombre", "Descripción"),
        ("Codice articolo", "Categoria", "Titolo", "Descrizione"),
        ("Artikelcode", "Categorie", "Naam", "Omschrijving"),
        ("Varenummer", "Kategori", "Produktnavn", "Beskrivelse"),
        ("Indeks", "Kategoria", "Nazwa", "Opis"),
        ("Product-ID", "product_category", "Product Name", "Long Description"),
    ],
)
def test_roles_are_found_in_several_languages(
    tmp_path: Path, identity: str, category: str, title: str, description: str
) -> None:
    rows = [
        {title: f"T{n}", description: "long", "Foo": "x", category: "Mugs", identity: f"i{n}"}
        for n in range(3)
    ]
    report, found = imported(tmp_path, rows)
    columns = report.import_map.columns
    assert (columns.id, columns.category) == (identity, category)
    assert (columns.title, columns.description) == (title, description)
    assert found[0]["catalog"] == {"Foo": ["x"]}


def test_without_a_category_all_products_are_of_one_and_the_map_says_so(tmp_path: Path) -> None:
    report, found = imported(tmp_path, [{"sku": "1", "title": "Mug"}, {"sku": "2", "title": "Cup"}])
    assert {p["category"] for p in found} == {"Products"}
    assert "no column is named like a category" in reason(report, "category")


def test_without_an_id_products_are_called_by_their_rows(tmp_path: Path) -> None:
    report, found = imported(tmp_path, [{"title": "Mug"}, {"title": "Cup"}])
    assert [p["product_id"] for p in found] == ["row-1", "row-2"]
    assert "no column named like an id" in report.map_path.read_text("utf-8")


@pytest.mark.parametrize("empty", [[1], [1, 3, 5]])
def test_rows_without_an_id_are_rejected_and_the_column_stays_the_id(
    tmp_path: Path, empty: list[int]
) -> None:
    rows = [row(n) | ({"sku": ""} if n in empty else {}) for n in range(2 * len(empty) + 1)]
    report, found = imported(tmp_path, rows)
    assert report.import_map.columns.id == "sku"
    assert {p["product_id"] for p in found} == {r["sku"] for r in rows} - {""}
    assert report.rejected_rows == len(empty)
    assert "product_id: is empty" in next(iter(report.reasons))[1]
    assert f"{len(empty)} rows have none, and are rejected" in reason(report, "id")


def test_an_identifier_that_most_rows_lack_is_no_id(tmp_path: Path) -> None:
    rows = [{"title": f"Mug {n}", "ean": f"400638133393{n}" if n < 4 else ""} for n in range(9)]
    report, found = imported(tmp_path, rows)
    assert report.import_map.columns.id is None
    assert len(found) == 9


def test_of_several_ids_the_filled_one_is_taken(tmp_path: Path) -> None:
    rows = [row(n, id=f"i{n}") | ({"sku": ""} if n == 1 else {}) for n in range(3)]
    report, found = imported(tmp_path, rows)
    assert report.import_map.columns.id == "id"
    assert len(found) == 3


def test_of_three_rows_one_whose_id_stood_before_is_rejected(tmp_path: Path) -> None:
    rows = [row(1), row(2), row(1, title="Another mug")]
    report, found = imported(tmp_path, rows)
    assert [p["product_id"] for p in found] == ["s1", "s2"]
    assert report.rejected_rows == 1


def test_of_few_rows_one_may_lack_the_text_that_is_taken_for_the_title(tmp_path: Path) -> None:
    texts = ["A red mug of clay", "", "A blue cup of tin"]
    rows = [{"sku": f"s{n}", "words": words} for n, words in enumerate(texts)]
    report, found = imported(tmp_path, rows)
    assert report.import_map.columns.title == "words"
    assert [p["title"] for p in found] == [texts[0], texts[2]]


def test_a_row_with_a_picture_needs_no_title(tmp_path: Path) -> None:
    rows = [row(1, image=""), row(2, image=PICTURE), row(3, image=PICTURE), row(4, image="")]
    rows[2]["title"] = rows[3]["title"] = ""
    report, found = imported(tmp_path, rows)
    assert [p.get("title") for p in found] == ["Mug 1", "Mug 2", None]
    assert found[2]["images"] == [PICTURE]
    assert "give a picture" in next(iter(report.reasons))[1]
    lid = Attribute(name="Lid", type=AttributeType.BOOLEAN)
    schema = CategorySchema(category="Mugs", attributes=(lid,))
    products, _ = read_catalog(report.out, {"Mugs": schema})
    assert len(products) == 3


def test_levels_of_categories_are_one_path_and_numbered_pictures_a_list(tmp_path: Path) -> None:
    rows = [
        {"sku": str(n), "title": f"T{n}", "category 1": "Home", "category 2": f"Kitchen {n % 2}",
         "image 1": f"https://i.example/{n}.jpg", "image 2": f"https://i.example/{n}b.jpg"}
        for n in range(4)
    ]  # fmt: skip
    _, found = imported(tmp_path, rows)
    assert found[0]["category"] == "Home > Kitchen 0"
    assert found[0]["images"] == ["https://i.example/0.jpg", "https://i.example/0b.jpg"]


def test_names_and_values_in_numbered_columns_with_units(tmp_path: Path) -> None:
    rows = [
        row(n, **{"Eigenschaft 1": "Farbe", "Wert 1": "rot", "Einheit 1": "",
                  "Eigenschaft 2": "Höhe", "Wert 2": f"{n},5", "Einheit 2": "cm"})
        for n in range(1, 5)
    ]  # fmt: skip
    report, found = imported(tmp_path, rows)
    assert found[0]["catalog"] == {"Farbe": ["rot"], "Höhe": ["1.5 cm"]}
    assert report.import_map.attributes["Höhe"].kind == "number"


def test_numbered_columns_as_a_german_shop_calls_them(tmp_path: Path) -> None:
    german = {"Übergeordnetes Produkt": "h", "Name des Attributs 1": "Farbe"}
    values = ("Blau", "Rot")
    rows = [row(n, **german, **{"Wert(e) des Attributs 1": v}) for n, v in enumerate(values)]
    report, found = imported(tmp_path, rows)
    assert report.import_map.columns.group == "Übergeordnetes Produkt"
    assert [p["catalog"] for p in found] == [{"Farbe": ["Blau"]}, {"Farbe": ["Rot"]}]


def test_cells_with_several_attributes(tmp_path: Path) -> None:
    rows = [row(n, specs=f"color=red,size={n},note=a b") for n in range(1, 5)]
    _, found = imported(tmp_path, rows)
    assert found[2]["catalog"] == {"color": ["red"], "size": ["3"], "note": ["a b"]}


@pytest.mark.parametrize(
    "cell",
    [
        '{"specs": [{"key": "Color", "value": "red"}, {"key": "Fit", "value": "Slim"}]}',
        '{"specs"=>[{"key"=>"Color", "value"=>"red"}, {"key"=>"Fit", "value"=>"Slim"}]}',
        "{'Color': 'red', 'Fit': 'Slim'}",
    ],
)
def test_cells_that_are_objects_as_json_ruby_or_python_write_them(
    tmp_path: Path, cell: str
) -> None:
    rows = [row(n, product_specifications=cell, tree='["Home >> Mugs"]') for n in range(3)]
    report, found = imported(tmp_path, rows)
    assert report.import_map.file.json_columns == ("product_specifications", "tree")
    assert found[0]["catalog"] == {"Color": ["red"], "Fit": ["Slim"], "tree": ["Home >> Mugs"]}


def test_units_in_a_second_column_and_in_the_header(tmp_path: Path) -> None:
    rows = [
        row(n, height=f"{n}.5", height_unit="cm", **{"Weight (kg)": f"{n}", "Color(s)": "red"})
        for n in range(1, 5)
    ]
    _, found = imported(tmp_path, rows)
    assert found[0]["catalog"] == {"height": ["1.5 cm"], "Weight": ["1 kg"], "Color(s)": ["red"]}


def test_of_several_languages_the_one_with_most_cells_is_taken(tmp_path: Path) -> None:
    rows = [
        {"sku": str(n), "category": "Mugs", "title-de_DE": f"Becher {n}", "title-en_US": f"Mug {n}",
         "color-de_DE": "rot" if n else "", "color-en_US": "red"}
        for n in range(3)
    ]  # fmt: skip
    report, found = imported(tmp_path, rows)
    assert (found[0]["title"], found[0]["catalog"]) == ("Mug 0", {"color": ["red"]})
    assert report.import_map.skip.columns == ("title-de_DE", "color-de_DE")
    assert "in another language" in reason(report, "columns")


def test_variants_share_what_their_parent_says_and_a_cluster(tmp_path: Path) -> None:
    rows = [
        row(1, parent="", description="Big", color=""),
        {"sku": "s1-r", "category": "", "title": "", "parent": "s1", "color": "red"},
        {"sku": "s1-b", "category": "Cups", "title": "Blue", "parent": "s1", "color": "blue"},
        {"sku": "s9-x", "category": "", "title": "", "parent": "s9", "color": "x"},
    ]
    report, found = imported(tmp_path, rows)
    assert [(p["title"], p["category"], p["cluster"]) for p in found] == [
        ("Mug 1", "Mugs", "s1"),
        ("Mug 1", "Mugs", "s1"),
        ("Blue", "Cups", "s1"),
    ]
    assert report.rejected_rows == 1, "its parent is not there"


def test_an_id_that_comes_with_each_variant_is_the_group(tmp_path: Path) -> None:
    rows = [
        {"product_id": f"p{n // 3}", "sku": f"s{n}", "category": "Mugs", "title": "Mug"}
        for n in range(9)
    ]
    report, found = imported(tmp_path, rows)
    assert (report.import_map.columns.id, report.import_map.columns.group) == ("sku", "product_id")
    assert [p["cluster"] for p in found] == [f"p{n // 3}" for n in range(9)]


# ------------------------------------------------------------------------- evidence in values


def test_the_decimal_mark_is_what_no_number_contradicts(tmp_path: Path) -> None:
    report, found = imported(
        tmp_path, [row(n, size=s) for n, s in enumerate(("1,5", "2", "1.234", "3,25"))]
    )
    assert report.import_map.values.decimal_mark == ","
    assert [p["catalog"]["size"] for p in found] == [["1.5"], ["2"], ["1234"], ["3.25"]]
    assert "2 cells such as '1,5' have no other reading" in reason(report, "decimal_mark")


def test_where_nothing_says_which_mark_it_is_the_doubtful_are_refused_and_counted(
    tmp_path: Path,
) -> None:
    report, found = imported(
        tmp_path, [row(n, size=s) for n, s in enumerate(("1.234", "2", "2.345", "7"))]
    )
    assert report.import_map.values.decimal_mark == ""
    assert [p["catalog"].get("size") for p in found] == [None, ["2"], None, ["7"]]
    assert sum(n for (name, _), n in report.reasons.items() if name == "size") == 2
    assert "can be read in two ways" in reason(report, "decimal_mark")


def test_columns_that_differ_in_their_mark_have_a_locale_each(tmp_path: Path) -> None:
    rows = [row(n, height=f"{n},5", width=f"{n}.5", depth="1.234") for n in range(1, 5)]
    report, found = imported(tmp_path, rows)
    assert report.import_map.values.decimal_mark == ""
    assert found[0]["catalog"] == {"height": ["1.5"], "width": ["1.5"]}
    assert report.reasons.total() == 4


def test_the_date_format_is_what_a_day_above_12_shows(tmp_path: Path) -> None:
    days = ("03/04/2024", "25/12/2023", "01/02/2024")
    report, found = imported(tmp_path, [row(n, since=day) for n, day in enumerate(days)])
    assert report.import_map.values.date_format == "%d/%m/%Y"
    assert found[0]["catalog"]["since"] == ["2024-04-03"]


def test_columns_that_differ_in_their_dates_have_a_format_each(tmp_path: Path) -> None:
    rows = [
        row(n, since=f"{n:02d}/03/2024", until=f"{n + 9}.01.24", tested=f"{n}/4/2024")
        for n in range(1, 8)
    ]
    report, found = imported(tmp_path, rows)
    own = report.import_map.attributes
    assert report.import_map.values.date_format == ""
    assert (own["until"].date_format, own["since"].date_format) == ("%d.%m.%y", None)
    assert found[0]["catalog"] == {"until": ["2024-01-10"]}
    assert "can be day or month first" in reason(report, "date_format")
    again = import_files([tmp_path / "f.csv"], tmp_path / "again.jsonl", report.map_path)
    assert again.out.read_bytes() == report.out.read_bytes()


def test_dates_that_may_be_either_are_refused_and_counted(tmp_path: Path) -> None:
    days = ("03/04/2024", "05/06/2024", "01/02/2024")
    report, found = imported(tmp_path, [row(n, since=day) for n, day in enumerate(days)])
    assert [p["catalog"] for p in found] == [{}, {}, {}]
    assert report.reasons.total() == 3
    assert "day or month first" in reason(report, "date_format")


def test_identifiers_stay_texts(tmp_path: Path) -> None:
    rows = [row(n, EAN=f"400000000000{n}", plate=f"00{n}", serial="123456789012") for n in range(4)]
    report, found = imported(tmp_path, rows)
    assert {spec.kind for spec in report.import_map.attributes.values()} == {"text"}
    assert found[1]["catalog"]["plate"] == ["001"]


def test_semicolons_and_bars_between_short_texts_part_a_list_and_commas_do_not(
    tmp_path: Path,
) -> None:
    rows = [row(n, a="red; blue", b="x|y", c="one, two") for n in range(4)]
    report, found = imported(tmp_path, rows)
    assert found[0]["catalog"] == {"a": ["red", "blue"], "b": ["x", "y"], "c": ["one, two"]}
    assert "4 cells have commas and are one value each" in reason(report, "c")


def test_a_column_of_zeros_and_ones_is_a_boolean_only_if_its_name_asks(tmp_path: Path) -> None:
    rows = [row(n, is_vegan=str(n % 2), pockets=str(n % 2)) for n in range(4)]
    _, found = imported(tmp_path, rows)
    assert found[1]["catalog"] == {"is vegan": ["yes"], "pockets": ["1"]}
