"""Catalogs: read with one sentence for what is wrong."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from infra.catalogs.catalog import (
    CatalogError,
    Product,
    listing_row,
    read_catalog,
    write_catalog,
)
from infra.catalogs.generate import generate
from infra.catalogs.grouping import together
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.sources.json_schema import read_schemas

DATA = Path(__file__).parents[4] / "shared" / "data"
COLOR = Attribute(name="Color", type=AttributeType.ENUM, values=("red", "blue"))
SIZES = Attribute(name="Sizes", type=AttributeType.ENUM, values=("S", "M"), multi_value=True)
NOTE = Attribute(name="Note", type=AttributeType.TEXT)
SCHEMAS = CategorySchemas(
    [
        CategorySchema(category="Lamps", attributes=(COLOR, SIZES, NOTE)),
        CategorySchema(category="Anything", attributes=()),
    ]
)
LINE: dict[str, Any] = {"product_id": "1", "category": "Lamps", "title": "Lamp"}


def written(folder: Path, *lines: dict[str, Any] | str) -> Path:
    """A catalog file of `lines`."""
    path = folder / "catalog.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n")
    return path


def own_name(number: int) -> str:
    """A title that is like no other: numbers alone would be near-duplicates."""
    return f"lamp {hashlib.sha256(str(number).encode()).hexdigest()[:16]}"


def product(number: int, title: str = "", **fields: Any) -> Product:
    """One of many lamps, with a title of its own unless one is given."""
    return Product(
        product_id=f"p{number:04d}",
        category=fields.pop("category", "Lamps"),
        title=title or own_name(number),
        description="",
        truth=fields.pop("truth", {"Color": ["red"]}),
        **fields,
    )


def test_values_are_read_in_the_schemas_spelling(tmp_path: Path) -> None:
    catalog = {"Color": "RED", "Sizes": ["m | S"], "Note": []}
    (lamp,), warnings = read_catalog(written(tmp_path, LINE | {"catalog": catalog}), SCHEMAS)
    assert lamp.truth == {"Color": ["red"], "Sizes": ["M", "S"]}
    assert lamp.attributes(SCHEMAS) == (COLOR, SIZES, NOTE)
    assert warnings == []


def test_former_names_are_read_as_those_in_force(tmp_path: Path) -> None:
    colour = COLOR.model_copy(update={"name": "Colour", "aliases": ("Color",)})
    lights = CategorySchema(category="Lights", attributes=(colour, NOTE), aliases=("Lamps",))
    path = written(tmp_path, LINE | {"catalog": {"Color": "RED"}, "requested": ["Color"]})
    (lamp,), warnings = read_catalog(path, CategorySchemas([lights]))
    assert (lamp.category, lamp.truth, warnings) == ("Lights", {"Colour": ["red"]}, [])
    assert lamp.attributes({"Lights": lights}) == (colour,)


def test_what_the_schema_does_not_know_is_left_out_and_counted(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        LINE | {"catalog": {"Color": ["mauve"], "Voltage": ["5 V"], "Note": ["a", "b"]}},
        LINE | {"product_id": "2", "requested": ["Note", "Voltage"]},
        LINE | {"product_id": "3", "category": "Tents"},
        LINE | {"product_id": "4", "category": "Anything"},
        LINE | {"product_id": "5", "requested": ["Voltage"]},
    )
    products, warnings = read_catalog(path, SCHEMAS)
    assert [p.truth for p in products] == [{}, {}]
    assert products[1].attributes(SCHEMAS) == (NOTE,)
    assert warnings == [
        "catalog.jsonl: left out 1 products of categories that the schema lacks (the first: line "
        "3, 'Tents')",
        "catalog.jsonl: left out 2 products of which no attribute is asked for (the first: line 4)",
        "catalog.jsonl: left out 2 requested attributes that their category lacks (the first: line "
        "2, 'Voltage')",
        "catalog.jsonl: left out 1 values of attributes that their category lacks (the first: line "
        "1, 'Voltage')",
        "catalog.jsonl: left out 2 values that the schema refuses (the first: line 1, attribute "
        "'Color': 'mauve' is not an allowed value; write one of red, blue)",
    ]


def test_what_stands_for_no_value_is_a_blank_and_counted_apart(tmp_path: Path) -> None:
    path = written(tmp_path, LINE | {"catalog": {"Color": "N/A", "Sizes": ["S", "tbd"]}})
    (lamp,), warnings = read_catalog(path, SCHEMAS)
    assert lamp.truth == {"Sizes": ["S"]}
    assert warnings == [
        "catalog.jsonl: left out 1 values that stand for none, such as N/A (the first: line 1, "
        "attribute 'Color')"
    ]


def test_pictures_are_files_in_the_catalogs_folder_or_uris_that_are_not_looked_up(
    tmp_path: Path,
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a b.jpg").write_bytes(b"")
    there = ["images/a b.jpg", (tmp_path / "images" / "a b.jpg").as_uri()]
    elsewhere = ["https://shop.example/1.jpg", "s3://bucket/1.jpg"]
    (lamp,), warnings = read_catalog(
        written(tmp_path, LINE | {"images": there + elsewhere}), SCHEMAS
    )
    assert (lamp.images, warnings) == ((*there, *elsewhere), [])


def test_a_picture_that_is_not_there_is_left_out_and_its_product_stays(tmp_path: Path) -> None:
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(b"")
    (tmp_path / "2.jpg").write_bytes(b"")
    path = written(
        folder,
        LINE | {"images": ["1.jpg"]},
        LINE | {"product_id": "2", "images": ["gone.jpg", "1.jpg", "../2.jpg"]},
        LINE | {"product_id": "3", "images": ["", str(tmp_path / "2.jpg")]},
    )
    products, warnings = read_catalog(path, SCHEMAS)
    assert [product.images for product in products] == [("1.jpg",), ("1.jpg",), ()]
    assert warnings == [
        "catalog.jsonl: left out 4 images that are no files in the catalog's folder (the first: "
        "line 2, gone.jpg)"
    ]


def test_alternative_spellings_are_judged_one_by_one(tmp_path: Path) -> None:
    path = written(tmp_path, LINE | {"catalog": {"Color": ["red", "crimson", "blue"]}})
    assert read_catalog(path, SCHEMAS)[0][0].truth == {}
    assert read_catalog(path, SCHEMAS, alternatives=True)[0][0].truth == {"Color": ["red", "blue"]}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", ["line 2", "not JSON"]),
        ("[]", ["line 2", "not an object"]),
        ("[" * 100_000, ["line 2", "not JSON"]),
        ({"category": "Lamps", "title": "x"}, ["line 2", "'product_id'"]),
        (LINE | {"title": " "}, ["line 2", "'title'"]),
        (LINE | {"product_id": True}, ["line 2", "'product_id'"]),
        (LINE | {"catalog": {"Color": {"is": "red"}}}, ["line 2", "attribute 'Color'"]),
        ('{"product_id": ' + "9" * 5_000 + "}", ["line 2", "not JSON"]),
        (LINE | {"catalog": ["red"]}, ["line 2", "'catalog'"]),
        (LINE | {"requested": {"Color": 1}}, ["line 2", "'requested'"]),
        (LINE | {"product_id": "\ud83d"}, ["line 2", "'product_id': a text has half of a char"]),
        (LINE | {"images": [1]}, ["line 2", "'images'"]),
        (LINE | {"description": [1]}, ["line 2", "'description'"]),
        (LINE | {"product_id": "0"}, ["line 2", "'0' stands in line 1"]),
    ],
)
def test_a_wrong_line_stops_a_strict_reading_with_one_sentence_and_its_number(
    tmp_path: Path, line: dict[str, Any] | str, words: list[str]
) -> None:
    with pytest.raises(CatalogError) as caught:
        read_catalog(written(tmp_path, LINE | {"product_id": "0"}, line), SCHEMAS, strict=True)
    message = str(caught.value)
    assert all(word in message for word in ["catalog.jsonl", *words]), message
    assert "\n" not in message


def test_a_file_that_is_no_catalog_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"No such file.*; give the path"):
        read_catalog(tmp_path / "nothing.jsonl", SCHEMAS)
    (tmp_path / "latin.jsonl").write_bytes(json.dumps(LINE).encode() + b'\n"caf\xe9"\n')
    with pytest.raises(CatalogError, match=r"line 2: is not UTF-8"):
        read_catalog(tmp_path / "latin.jsonl", SCHEMAS, strict=True)
    (tmp_path / "wide.jsonl").write_text(json.dumps(LINE), encoding="utf-16")
    with pytest.raises(CatalogError, match="is UTF-16; save the file as UTF-8"):
        read_catalog(tmp_path / "wide.jsonl", SCHEMAS)
    for packed in (b"\x1f\x8b\x08", b"PK\x03\x04", b"PAR1"):
        (tmp_path / "packed.jsonl").write_bytes(packed)
        with pytest.raises(CatalogError, match=r"is no JSONL; make .* with `listune import`"):
            read_catalog(tmp_path / "packed.jsonl", SCHEMAS)
    with pytest.raises(CatalogError, match="no product is of a category"):
        read_catalog(written(tmp_path, LINE | {"category": "Tents"}), SCHEMAS)


def test_a_written_catalog_reads_back(tmp_path: Path) -> None:
    schemas, products = generate(1, 24)
    write_catalog(tmp_path / "c.jsonl", products)
    assert read_catalog(tmp_path / "c.jsonl", schemas) == (products, [])


def test_a_row_has_what_the_trainer_reads() -> None:
    lamp = product(1, requested=("Note", "Color"))
    row = listing_row(lamp, SCHEMAS, {"Color": ["blue"]})
    assert (row["listing_id"], row["category"], row["title"]) == ("p0001", "Lamps", lamp.title)
    assert [Attribute.model_validate(a) for a in row["attributes"]] == [COLOR, NOTE]
    assert row["values"] == {"Color": ["blue"]}
    assert (row["images"], row["pictures"]) == ([], [])
    assert listing_row(lamp, SCHEMAS, {}, ["a hash"])["pictures"] == ["a hash"]


def test_titles_that_are_nearly_the_same_are_one_product() -> None:
    one, other = "red lamp of steel for desks by Tarn", "Red lamp of steel for desks by Tarn new"
    assert len(together([product(1, one), product(2, other)])) == 1
    assert len(together([product(1, one), product(2, other, category="Tents")])) == 2
    assert len(together([product(1, one), product(2, "blue lamp of wood for beds by Kestro")])) == 2


@pytest.mark.parametrize("mug", ["陶瓷马克杯 {}色", "{}いマグカップ", "陶器マグカップ {} 350ml"])
def test_four_colours_of_one_product_are_one_group_without_spaces_too(mug: str) -> None:
    colours = [product(n, mug.format(colour)) for n, colour in enumerate("赤青白黒")]
    assert len(together(colours)) == 1
    assert len(together([*colours, product(9, "ステンレス製トラベルボトル 蓋付き")])) == 2


@pytest.mark.parametrize(
    ("name", "alternatives", "count"), [("flipkart", False, 648), ("wdc_pave", True, 1066)]
)
def test_real_catalogs_are_read(name: str, alternatives: bool, count: int) -> None:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"the real catalog {name} is not in shared/data here")
    schemas = read_schemas(folder / "schema.json", alternatives)
    products, warnings = read_catalog(folder / "listings.jsonl", schemas, alternatives)
    assert len(products) == count
    assert 1 <= len(warnings) <= 4
