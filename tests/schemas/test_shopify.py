"""The Shopify taxonomy: every category resolves, with the attributes that the taxonomy gives it."""

import shutil
from pathlib import Path

import pytest

from schemas.category import AttributeType
from schemas.errors import SchemaError
from schemas.sources.shopify import read_release
from schemas.sources.shopify_source import read_shopify
from tests.schemas.sources.reading import told, written

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "shopify_taxonomy"
FILES = {
    "values.yml": "- {friendly_id: c__red, name: Red}\n- {friendly_id: c__blue, name: Blue}\n",
    "attributes.yml": (
        "base_attributes:\n- {friendly_id: c, name: Color, values: [c__red, c__blue]}\n"
        "extended_attributes:\n- {friendly_id: s, name: Shade color, values_from: c}\n"
    ),
    "categories/aa.yml": (
        "- {id: aa, name: Home, children: [aa-1], attributes: [c, s]}\n"
        "- {id: aa-1, name: Lamps, children: [], attributes: [s]}\n"
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "categories").mkdir()
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def test_a_child_has_what_it_lists_and_nothing_more(folder: Path) -> None:
    schemas, _ = written(read_shopify(folder), folder)
    assert [a.name for a in schemas["Home > Lamps"].attributes] == ["Shade color"]


def test_an_extended_attribute_has_the_values_of_the_one_it_extends(folder: Path) -> None:
    schemas, _ = written(read_shopify(folder), folder)
    color, shade = schemas["Home"].attributes
    assert shade.values == color.values == ("Red", "Blue")
    assert color.multi_value
    single, _ = written(read_shopify(folder, multi_value=False), folder)
    assert not single["Home"].attributes[0].multi_value


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("values.yml", "{", ["values.yml", "not YAML"]),
        ("values.yml", "[" * 1_000_000, ["values.yml", "nested too deep"]),
        ("values.yml", "- " * 1_000_000, ["values.yml", "nested too deep"]),
        ("values.yml", "a: 2001-99-99", ["values.yml", "not YAML"]),
        ("values.yml", "a: 1", ["values.yml", "should be a list"]),
        ("values.yml", "- {name: Red}", ["values.yml", "'Red'", "friendly_id"]),
        ("values.yml", "- {friendly_id: c__red, name: Red}", ["'Color'", "'c__blue'"]),
        ("attributes.yml", "[]", ["attributes.yml", "base_attributes"]),
        (
            "attributes.yml",
            "base_attributes: [{friendly_id: c, name: Color, values: []}]",
            ["attribute 'Color'", "at least one entry"],
        ),
        (
            "attributes.yml",
            "base_attributes: []\nextended_attributes: "
            "[{friendly_id: s, name: Shade, values_from: nowhere}]",
            ["attribute 'Shade'", "'nowhere'"],
        ),
        ("categories/aa.yml", "- {id: aa, name: Yes, attributes: []}", ["`name`", "in quotes"]),
        ("categories/aa.yml", "- {id: aa, name: Home, attributes: c}", ["'Home'", "a list of"]),
        ("categories/aa.yml", "- {id: a-1, name: Home, attributes: []}", ["a-1", "below 'a'"]),
        (
            "categories/aa.yml",
            "- {id: aa, name: Home, attributes: [weight]}",
            ["aa.yml", "'Home'", "'weight'"],
        ),
    ],
)
def test_a_fault_names_the_file_and_the_entry(
    folder: Path, name: str, content: str, words: list[str]
) -> None:
    (folder / name).write_text(content)
    with pytest.raises(SchemaError) as caught:
        read_release(folder)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_missing_file_says_which(folder: Path) -> None:
    shutil.rmtree(folder / "categories")
    with pytest.raises(SchemaError, match="has no categories"):
        read_release(folder)
    (folder / "values.yml").unlink()
    with pytest.raises(SchemaError, match=r"values\.yml: No such file"):
        read_release(folder)


@pytest.mark.slow
def test_all_categories_of_the_real_taxonomy_are_read_back_whole(tmp_path: Path) -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"the Shopify taxonomy is not in {FOLDER.parent.parent.name}/data here")
    schemas, built = written(read_shopify(FOLDER), tmp_path)
    assert len(schemas) == 10_595
    assert sum(len(schema.attributes) for schema in schemas.values()) == 40_255
    assert {a.type for s in schemas.values() for a in s.attributes} == {AttributeType.ENUM}
    assert told(built) == {}
    joggers = schemas["Apparel & Accessories > Clothing > Activewear > Activewear Pants > Joggers"]
    assert "Black" in joggers.by_name["Color"].values
