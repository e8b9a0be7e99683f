"""Catalogs with faults: the other lines are read, and each fault is told with line and reason."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.catalogs.catalog import CatalogError, Reading, read_catalog, read_products
from infra.catalogs.reading import NOTHING_ASKED
from infra.catalogs.rejected_file import rejected_file, rejected_path, where_rejected
from infra.importing.rejected import Rejected
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas

E = AttributeType
MUGS = CategorySchema(
    category="Mugs",
    attributes=(
        Attribute(name="Colour", type=E.ENUM, values=("red", "café")),
        Attribute(name="Size", type=E.NUMBER),
        Attribute(name="Weight", type=E.NUMBER, locale="de-DE"),
        Attribute(name="Safe", type=E.BOOLEAN),
        Attribute(name="Lid", type=E.ENUM, values=("True", "False")),
        Attribute(name="Deckel", type=E.ENUM, values=("Ja", "Nein", "Ja, aus Holz")),
        Attribute(name="Sizes", type=E.NUMBER, multi_value=True),
        Attribute(name="Note", type=E.TEXT),
    ),
)
SCHEMAS = CategorySchemas([MUGS])
LINE: dict[str, Any] = {"category": "Mugs", "title": "Mug"}


def written(folder: Path, *lines: dict[str, Any] | str) -> Path:
    """A catalog; each line has its number as id unless it says another."""
    path = folder / "mugs.jsonl"
    texts = [
        line if isinstance(line, str) else json.dumps({"product_id": str(n)} | LINE | line)
        for n, line in enumerate(lines, 1)
    ]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> tuple[Reading, list[Rejected]]:
    rejected: list[Rejected] = []
    return read_products(path, SCHEMAS, told=rejected.append), rejected


def test_a_wrong_line_is_left_out_and_the_others_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, {}, "{", {"title": " "}, {"product_id": "1"}, {"title": []}, {})
    reading, rejected = read(path)
    assert [product.product_id for product in reading.products] == ["1", "6"]
    assert (reading.lines, reading.wrong) == (6, 4)
    assert [(one.line, one.product_id, one.attribute) for one in rejected] == [
        (2, None, None),
        (3, "3", None),
        (4, "1", None),
        (5, "5", None),
    ]
    assert "not JSON" in rejected[0].reason
    assert "mugs.jsonl: left out 4 lines that are no product (the first: line 2, not JSON" in str(
        reading.warnings
    )


def test_a_value_that_is_refused_is_told_with_attribute_and_reason(tmp_path: Path) -> None:
    catalog = {"Colour": "mauve", "Size": {"cm": 3}, "Note": ["good", "x\ud83d"]}
    reading, rejected = read(written(tmp_path, {"catalog": catalog}))
    assert [(one.attribute, one.value) for one in rejected] == [
        ("Colour", "mauve"),
        ("Size", '{"cm": 3}'),
        ("Note", "x?"),
    ]
    assert "not an allowed value" in rejected[0].reason
    assert reading.products[0].truth == {"Note": ["good"]}
    assert (reading.wrong, reading.refused) == (0, 3)


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("Size", 350, ["350"]),
        ("Size", 350.0, ["350"]),
        ("Size", 1e-7, ["0.0000001"]),
        ("Size", 1.2, ["1.2"]),
        ("Size", 1.234, ["1.2340"]),
        ("Weight", 1.5, ["1,5"]),
        ("Sizes", [1, None, 2.5], ["1", "2.5"]),
        ("Note", 350, ["350"]),
        ("Note", True, ["yes"]),
        ("Safe", True, ["yes"]),
        ("Safe", False, ["no"]),
        ("Safe", 0, ["no"]),
        ("Safe", "TRUE", ["yes"]),
        ("Safe", "Ja", ["yes"]),
        ("Safe", "0", ["no"]),
        ("Lid", True, ["True"]),
        ("Lid", "FALSE", ["False"]),
        ("Deckel", True, ["Ja"]),
        ("Deckel", False, ["Nein"]),
        ("Colour", "cafe\u0301", ["caf\u00e9"]),
        ("Colour", None, None),
        ("Colour", [None], None),
    ],
)
def test_a_value_is_taken_as_json_writes_it(
    tmp_path: Path, name: str, given: Any, taken: list[str] | None
) -> None:
    reading, rejected = read(written(tmp_path, {"catalog": {name: given}}))
    assert reading.products[0].truth.get(name) == taken
    assert not rejected


def test_ids_may_be_numbers_and_the_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = written(tmp_path, {"product_id": 7}, {"product_id": 7.0, "title": "cafe\u0301"}, {})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    reading, rejected = read(path)
    assert [product.product_id for product in reading.products] == ["7", "3"]
    assert "product_id '7' stands in line 1 already" in rejected[0].reason


def test_a_category_and_an_attribute_are_found_however_they_are_spelled(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {},
        {"category": "mugs ", "catalog": {"COLOUR": "red"}, "requested": ["colour"]},
        {"category": "MUGS"},
    )
    reading, _ = read(path)
    assert {product.category for product in reading.products} == {"Mugs"}
    assert reading.products[1].truth == {"Colour": ["red"]}
    assert reading.products[1].requested == ("Colour",)
    assert reading.warnings == [
        "mugs.jsonl: 1 times attributes are written otherwise than in the schema and taken as "
        "meant (the first: line 2, 'COLOUR' for 'Colour')",
        "mugs.jsonl: 2 times categories are written otherwise than in the schema and taken as "
        "meant (the first: line 2, 'mugs ' for 'Mugs')",
    ]


def test_a_name_that_is_spelled_as_name_and_alias_is_the_name(tmp_path: Path) -> None:
    colour = Attribute(name="Colour", type=E.TEXT, aliases=("colour", "hue"))
    schemas = CategorySchemas(
        [CategorySchema(category="Mugs", aliases=("mugs", "cups"), attributes=(colour,))]
    )
    path = written(
        tmp_path,
        {"category": "MUGS", "catalog": {"COLOUR": "red"}},
        {"category": "Cups", "catalog": {"Hue": "red"}},
    )
    reading = read_products(path, schemas)
    assert [mug.truth for mug in reading.products] == [{"Colour": ["red"]}] * 2


def test_lines_that_are_no_utf_8_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, {}, {"title": "caf_"}, {})
    path.write_bytes(path.read_bytes().replace(b"caf_", b"caf\xe9"))
    reading, rejected = read(path)
    assert (len(reading.products), rejected[0].line) == (2, 2)
    assert "is not UTF-8" in rejected[0].reason


def test_a_catalog_of_which_too_much_is_wrong_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, *[{}] * 8, "{", "[")
    with pytest.raises(
        CatalogError,
        match=r"2 of 10 lines are no product .*line 9.*at most 10% may be; .*`listune import`",
    ):
        read_catalog(path, SCHEMAS)
    assert len(read_catalog(path, SCHEMAS, most_rejected=0.2)[0]) == 8


def test_what_is_left_out_stands_beside_the_catalog_until_nothing_is(tmp_path: Path) -> None:
    path = written(tmp_path, {}, "{", {"catalog": {"Colour": "mauve"}})
    with rejected_file(path) as write:
        read_products(path, SCHEMAS, told=write)
    said = [json.loads(line) for line in rejected_path(path).read_text().splitlines()]
    assert [(one["line"], one["attribute"]) for one in said] == [(2, None), (3, "Colour")]
    assert (said[1]["category"], said[1]["value"], said[1]["product_id"]) == ("Mugs", "mauve", "3")
    assert str(rejected_path(path)) in where_rejected(path)
    with rejected_file(written(tmp_path, {})) as write:
        read_products(path, SCHEMAS, told=write)
    assert not rejected_path(path).exists()


def test_where_it_cannot_be_written_the_catalog_is_read_even_so(tmp_path: Path) -> None:
    path = written(tmp_path, {}, "{")
    rejected_path(path).mkdir()
    with rejected_file(path) as write:
        assert len(read_products(path, SCHEMAS, told=write).products) == 1
    assert "could not be written" in where_rejected(path)


def test_numbers_are_taken_where_a_text_is_meant(tmp_path: Path) -> None:
    line = {"title": 1984, "description": 1949.0, "cluster": 8.0, "images": None}
    reading, rejected = read(written(tmp_path, line))
    (book,) = reading.products
    assert (book.title, book.description, book.cluster) == ("1984", "1949", "8")
    assert not rejected


def test_one_image_and_one_requested_attribute_need_no_list(tmp_path: Path) -> None:
    line = {"images": "https://shop.example/1.jpg", "requested": "Note"}
    (mug,) = read(written(tmp_path, line, {"images": ["", None]}))[0].products[:1]
    assert (mug.images, mug.requested) == (("https://shop.example/1.jpg",), ("Note",))


def test_texts_are_kept_in_one_form_of_unicode(tmp_path: Path) -> None:
    line = {"title": "cafe\u0301", "description": "tre\u0300s bon", "cluster": "e\u0301"}
    (mug,) = read(written(tmp_path, line))[0].products
    assert (mug.title, mug.description, mug.cluster) == ("caf\u00e9", "tr\u00e8s bon", "\u00e9")


def test_half_of_a_character_is_taken_out_of_a_text_with_a_hint(tmp_path: Path) -> None:
    path = written(tmp_path, {}, {"title": "Mug \ud83d", "description": "\udc00 good"})
    reading, rejected = read(path)
    assert [(mug.title, mug.description) for mug in reading.products[1:]] == [("Mug ", " good")]
    assert not rejected
    assert reading.warnings == [
        "mugs.jsonl: 1 times half of a character is taken out of title or description (the first: "
        "line 2)"
    ]


def test_half_of_a_character_in_an_id_leaves_the_line_out(tmp_path: Path) -> None:
    reading, rejected = read(written(tmp_path, {}, {"product_id": "2\ud83d"}))
    assert (len(reading.products), [one.line for one in rejected]) == (1, [2])
    assert "half of a character" in rejected[0].reason


def test_a_product_with_a_picture_needs_no_text(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"")
    path = written(
        tmp_path,
        {"title": "", "images": ["1.jpg"]},
        {"title": None, "images": ["https://shop.example/1.jpg"]},
        {"title": " ", "images": ["gone.jpg"]},
        {"title": "", "images": []},
    )
    reading, rejected = read(path)
    assert [(mug.product_id, mug.title) for mug in reading.products] == [("1", ""), ("2", "")]
    assert [one.line for one in rejected] == [3, 4]
    assert "'title' should be a text that is not empty" in rejected[1].reason


def test_what_the_schema_lacks_is_named(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"category": "Tents"},
        {"category": "Tents"},
        {"catalog": {"Depth": "3", "Note": "a"}, "requested": ["Note", "Depth"]},
    )
    reading, _ = read(path)
    assert reading.unknown_categories == {"Tents": 2}
    assert reading.unknown_attributes == {("Mugs", "Depth"): 1}
    assert reading.warnings == [
        "mugs.jsonl: left out 2 products of categories that the schema lacks (the first: line 1, "
        "'Tents')",
        "mugs.jsonl: left out 1 requested attributes that their category lacks (the first: line 3, "
        "'Depth')",
        "mugs.jsonl: left out 1 values of attributes that their category lacks (the first: line 3, "
        "'Depth')",
    ]


def test_a_catalog_without_a_line_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"mugs.jsonl: has no products; give a file with"):
        read_catalog(written(tmp_path, "", " "), SCHEMAS)


TEXT = st.sampled_from(["", " ", "1", "Mugs", "mugs ", "red", "\ud83d", "e\u0301", "\x00", "|"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("product_id", "category", "title", "description", "images", "requested", "cluster")
ENTRY = st.fixed_dictionaries(
    {"catalog": st.dictionaries(st.sampled_from(["Size", "safe", "Lid", "\ud83d"]), JSON) | JSON},
    optional=dict.fromkeys(FIELDS, JSON | TEXT),
)


@pytest.mark.slow
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(ENTRY | JSON, max_size=4))
def test_whatever_a_line_says_the_others_are_read(tmp_path: Path, entries: list[Any]) -> None:
    path = tmp_path / "mugs.jsonl"
    last = {"product_id": "the last"} | LINE
    path.write_text("\n".join(map(json.dumps, [*entries, last])), encoding="utf-8")
    with rejected_file(path) as write:
        reading = read_products(path, SCHEMAS, told=write)
    assert reading.products[-1].product_id == "the last"
    kept = len(reading.products) + reading.wrong + sum(reading.unknown_categories.values())
    assert kept + reading.dropped[NOTHING_ASKED] == reading.lines == len(entries) + 1
    for mug in reading.products:
        json.dumps([mug.title, mug.description, mug.truth], ensure_ascii=False).encode()
