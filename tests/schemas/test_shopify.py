"""The Shopify taxonomy: every category resolves, with the attributes that the taxonomy gives it."""

import shutil
from pathlib import Path

import pytest

from schemas.category import AttributeType
from schemas.errors import SchemaError
from schemas.sources.shopify import Taxonomy, read_taxonomy

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


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    if not FOLDER.is_dir():
        pytest.skip(f"the Shopify taxonomy is not in {FOLDER.parent.parent.name}/data here")
    return read_taxonomy(FOLDER)


def test_a_category_is_found_by_its_full_name_and_by_its_id(folder: Path) -> None:
    taxonomy = read_taxonomy(folder)
    assert list(taxonomy) == ["Home", "Home > Lamps"]
    assert taxonomy["Home > Lamps"] is taxonomy.by_id("aa-1")
    assert taxonomy.get("Lamps") is None


def test_a_child_has_what_it_lists_and_nothing_more(folder: Path) -> None:
    assert [a.name for a in read_taxonomy(folder).by_id("aa-1").attributes] == ["Shade color"]


def test_an_extended_attribute_has_the_values_of_the_one_it_extends(folder: Path) -> None:
    color, shade = read_taxonomy(folder)["Home"].attributes
    assert shade.values == color.values == ("Red", "Blue")
    assert not read_taxonomy(folder, multi_value=False)["Home"].attributes[0].multi_value


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
        read_taxonomy(folder)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_missing_file_says_which(folder: Path) -> None:
    shutil.rmtree(folder / "categories")
    with pytest.raises(SchemaError, match="has no categories"):
        read_taxonomy(folder)
    (folder / "values.yml").unlink()
    with pytest.raises(SchemaError, match=r"values\.yml: No such file"):
        read_taxonomy(folder)


def test_all_categories_of_the_real_taxonomy_resolve(taxonomy: Taxonomy) -> None:
    assert len(taxonomy) == 10_595
    schemas = [taxonomy[name] for name in taxonomy]
    assert sum(len(schema.attributes) for schema in schemas) == 40_255
    assert {a.type for schema in schemas for a in schema.attributes} == {AttributeType.ENUM}


def test_the_real_taxonomys_deep_categories_have_full_names(taxonomy: Taxonomy) -> None:
    joggers = taxonomy.by_id("aa-1-1-1-1")
    assert joggers.category == (
        "Apparel & Accessories > Clothing > Activewear > Activewear Pants > Joggers"
    )
    assert "Black" in joggers.by_name["Color"].values
