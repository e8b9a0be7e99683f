"""Catalogs: read with one sentence for what is wrong, and split so that nothing leaks."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.demo.catalog import (
    CatalogError,
    Product,
    listing_row,
    read_catalog,
    split,
    write_catalog,
    write_heldout,
)
from infra.demo.generate import generate
from infra.demo.grouping import together
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.sources.json_schema import read_schemas

DATA = Path(__file__).parents[3] / "shared" / "data"
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
        "catalog.jsonl: left out 1 products of categories that the schema lacks",
        "catalog.jsonl: left out 2 products of which no attribute is asked for",
        "catalog.jsonl: left out 2 requested attributes that their category lacks",
        "catalog.jsonl: left out 1 values of attributes that their category lacks",
        "catalog.jsonl: left out 2 values that the schema refuses",
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
        (LINE | {"product_id": 5}, ["line 2", "'product_id'"]),
        (LINE | {"catalog": {"Color": 5}}, ["line 2", "'catalog'"]),
        (LINE | {"catalog": ["red"]}, ["line 2", "'catalog'"]),
        (LINE | {"requested": "Color"}, ["line 2", "'requested'"]),
        (LINE | {"images": [1]}, ["line 2", "'images'"]),
        (LINE | {"description": 1}, ["line 2", "'description'"]),
        (LINE | {"product_id": "0"}, ["line 2", "'0' stands in line 1"]),
    ],
)
def test_a_wrong_line_is_one_sentence_with_its_number(
    tmp_path: Path, line: dict[str, Any] | str, words: list[str]
) -> None:
    with pytest.raises(CatalogError) as caught:
        read_catalog(written(tmp_path, LINE | {"product_id": "0"}, line), SCHEMAS)
    message = str(caught.value)
    assert all(word in message for word in ["catalog.jsonl", *words]), message
    assert "\n" not in message


def test_a_file_that_is_no_catalog_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"No such file.*; give the path"):
        read_catalog(tmp_path / "nothing.jsonl", SCHEMAS)
    (tmp_path / "latin.jsonl").write_bytes(b'{}\n"caf\xe9"\n')
    with pytest.raises(CatalogError, match=r"line 2: is not UTF-8"):
        read_catalog(tmp_path / "latin.jsonl", SCHEMAS)
    with pytest.raises(CatalogError, match="no product is of a category"):
        read_catalog(written(tmp_path, LINE | {"category": "Tents"}), SCHEMAS)


def test_a_written_catalog_reads_back(tmp_path: Path) -> None:
    schemas, products = generate(1, 24)
    write_catalog(tmp_path / "c.jsonl", products)
    assert read_catalog(tmp_path / "c.jsonl", schemas) == (products, [])


def test_a_held_out_row_has_what_the_trainer_reads(tmp_path: Path) -> None:
    lamp = product(1, requested=("Note", "Color"))
    write_heldout(tmp_path / "h.jsonl", [lamp], SCHEMAS)
    row = json.loads((tmp_path / "h.jsonl").read_text())
    assert row == listing_row(lamp, SCHEMAS, lamp.truth)
    assert [Attribute.model_validate(a) for a in row["attributes"]] == [COLOR, NOTE]
    assert row["values"] == {"Color": ["red"]}


@given(st.integers(0, 3), st.permutations([product(n) for n in range(60)]))
def test_a_split_is_disjoint_complete_and_the_same_in_any_order(
    seed: int, products: list[Product]
) -> None:
    parts = split(products, seed, 8)
    dealt = [*parts.stream, *parts.calibration, *parts.gate, *parts.test]
    assert sorted(p.product_id for p in dealt) == sorted(p.product_id for p in products)
    assert len(parts.calibration) == len(parts.gate) == len(parts.test) == 8
    assert parts == split(sorted(products, key=lambda p: p.product_id), seed, 8)


def test_another_seed_holds_out_others() -> None:
    products = [product(n) for n in range(100)]
    assert split(products, 1, 8).gate != split(products, 2, 8).gate


def test_held_out_products_are_of_all_categories_in_proportion() -> None:
    products = [product(n, category="Lamps" if n % 4 else "Tents") for n in range(400)]
    counts = Counter(p.category for p in split(products, 0, 32).gate)
    assert counts["Tents"] == pytest.approx(8, abs=1)


def test_offers_of_one_product_stay_on_one_side() -> None:
    products = [product(n, cluster=f"c{n // 2}") for n in range(100)]
    products += [
        product(100 + n, f"{own_name(100 + n // 2)} {('red', 'blue')[n % 2]}") for n in range(40)
    ]
    parts = split(products, 3, 10)
    sides = [parts.stream, parts.calibration, parts.gate, parts.test]
    for group in together(products):
        assert sum(any(p in side for p in group) for side in sides) == 1
    assert {len(group) for group in together(products)} == {2}


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


def test_products_without_any_value_are_not_held_out() -> None:
    products = [product(n, truth={"Color": ["red"]} if n % 2 else {}) for n in range(100)]
    parts = split(products, 0, 8)
    assert all(p.truth for p in (*parts.calibration, *parts.gate, *parts.test))


def test_a_catalog_too_small_for_its_held_out_parts_says_so() -> None:
    with pytest.raises(CatalogError, match=r"3 x 8 of 31 products .* smaller"):
        split([product(n) for n in range(31)], 0, 8)


@pytest.mark.parametrize(
    ("name", "alternatives", "count"), [("flipkart", False, 648), ("wdc_pave", True, 1066)]
)
def test_real_catalogs_are_read_and_split(name: str, alternatives: bool, count: int) -> None:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"the real catalog {name} is not in shared/data here")
    schemas = read_schemas(folder / "schema.json", alternatives)
    products, warnings = read_catalog(folder / "listings.jsonl", schemas, alternatives)
    assert len(products) == count
    assert 1 <= len(warnings) <= 3
    parts = split(products, 0, 32)
    clusters = [{p.cluster for p in part if p.cluster} for part in (parts.stream, parts.gate)]
    assert not clusters[0] & clusters[1]
    assert 32 <= len(parts.gate) < 40
