"""The Shopify taxonomy as a source: every language of its own, filtered by a catalog."""

from collections import Counter
from pathlib import Path

import pytest

from schemas.errors import SchemaError
from schemas.sources.building import build
from schemas.sources.json_schema import read_schemas, write_schemas
from schemas.sources.selecting import used_by
from schemas.sources.shopify_source import read_shopify
from tests.schemas.sources.reading import told, written

REAL = Path(__file__).parents[4] / "shared" / "data" / "shopify_taxonomy"
FILES = {
    "values.yml": "- {friendly_id: c__red, name: Red}\n- {friendly_id: c__blue, name: Blue}\n",
    "attributes.yml": (
        "base_attributes:\n- {friendly_id: c, name: Color, description: hue, "
        "values: [c__red, c__blue]}\n"
        "extended_attributes:\n- {friendly_id: s, name: Shade color, values_from: c}\n"
    ),
    "categories/aa.yml": (
        "- {id: aa, name: Home, children: [aa-1], attributes: [c, s]}\n"
        "- {id: aa-1, name: Lamps, children: [], attributes: [s]}\n"
        "- {id: aa-2, name: Lights, children: [], attributes: []}\n"
    ),
    "localizations/categories/de.yml": (
        "de: {categories: {aa: {name: Haus}, aa-1: {name: Leuchten}, aa-2: {name: Leuchten}}}"
    ),
    "localizations/attributes/de.yml": (
        "de: {attributes: {c: {name: Farbe, description: Farbton}, s: {name: Farbe}}}"
    ),
    "localizations/values/de.yml": "de: {values: {c__red: {name: Rot}}}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return tmp_path / "data"


def test_in_english_it_is_what_the_taxonomy_says(folder: Path, tmp_path: Path) -> None:
    schemas, built = written(read_shopify(folder), tmp_path)
    assert {name: [a.name for a in schema.attributes] for name, schema in schemas.items()} == {
        "Home": ["Color", "Shade color"],
        "Home > Lamps": ["Shade color"],
        "Home > Lights": [],
    }
    color = schemas["Home"].attributes[0]
    assert (color.values, color.description) == (("Red", "Blue"), "hue")
    assert [one.id for one in built.categories] == ["aa", "aa-1", "aa-2"]
    assert built.categories[0].made[0].codes == ("c__red", "c__blue")
    assert told(built) == {}
    assert dict(written(read_shopify(folder.parent), tmp_path)[0]) == dict(schemas)


def test_a_localisation_names_categories_attributes_and_values(
    folder: Path, tmp_path: Path
) -> None:
    schemas, _ = written(read_shopify(folder, "de"), tmp_path)
    color = schemas["Haus"].attributes[0]
    assert (color.name, color.values, color.description) == ("Farbe", ("Rot", "Blue"), "Farbton")
    assert schemas.find("Home > Lamps") is schemas["Haus > Leuchten"]


def test_what_has_no_translation_stays_english_and_is_counted(folder: Path, tmp_path: Path) -> None:
    _, built = written(read_shopify(folder, "de"), tmp_path)
    # Blue, in each of three attributes.
    assert told(built)["name has no words in de: it stays English"] == 3


def test_names_that_one_translation_shares_are_told_apart_by_their_ids(
    folder: Path, tmp_path: Path
) -> None:
    schemas, _ = written(read_shopify(folder, "de"), tmp_path)
    assert list(schemas) == ["Haus", "Haus > Leuchten", "Haus > Leuchten (aa-2)"]
    assert [a.name for a in schemas["Haus"].attributes] == ["Farbe", "Farbe (s)"]


def test_a_localisation_that_is_not_there_is_refused_with_those_that_are(folder: Path) -> None:
    with pytest.raises(SchemaError, match="has no 'fr'; it has de"):
        read_shopify(folder, "fr")
    (folder / "localizations/attributes/de.yml").write_text("fr: {}")
    with pytest.raises(SchemaError, match=r"de\.yml: has no `de: \{attributes"):
        read_shopify(folder, "de")
    (folder / "localizations/attributes/de.yml").unlink()
    with pytest.raises(SchemaError, match="has no localisations"):
        read_shopify(folder, "de")


@pytest.mark.slow
def test_the_real_taxonomy_filtered_by_a_catalog_is_read_back_the_same(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip("the Shopify taxonomy is not in shared/data here")
    source = read_shopify(REAL)
    mugs = "Home & Garden > Kitchen & Dining > Tableware > Drinkware > Mugs"
    selection = used_by(source, Counter({mugs: 3, "aa-1-1-1-1": 2, "Juggers": 1}))
    built = build(selection, source.left_out)
    schemas = {one.schema.category: one.schema for one in built.categories}
    write_schemas(tmp_path / "schema.json", schemas)
    again = read_schemas(tmp_path / "schema.json")
    assert dict(again) == schemas
    assert mugs in again
    joggers = again.find("aa-1-1-1-1")
    assert joggers is not None
    assert joggers.category.endswith("Activewear Pants > Joggers")
    (unknown,) = selection.unknown
    assert any(name.endswith("> Joggers") for name in unknown.nearest)
    assert told(built) == {}
