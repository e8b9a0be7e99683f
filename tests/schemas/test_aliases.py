"""An attribute or a category is renamed: what stands under its former name counts as its own."""

from pathlib import Path

import pytest

from schemas.aliases import asked_for, in_force, under_all_names
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.errors import SchemaError
from schemas.sources.json_schema import read_schemas, write_schemas
from schemas.versions import SchemaVersions

COLOUR = Attribute(name="Colour", type=AttributeType.TEXT, aliases=("Color", "Tint"))
STYLE = Attribute(name="Style", type=AttributeType.TEXT)
LIGHTS = CategorySchema(category="Lights", attributes=(COLOUR, STYLE), aliases=("Lamps",))
PLAIN = CategorySchema(category="Lamps", attributes=(STYLE,))


def test_a_value_under_a_former_name_counts_as_the_attributes() -> None:
    values = {"Color": ["red"], "Style": ["loft"], "Unheard": ["of"]}
    assert in_force(LIGHTS, values) == {
        "Colour": ["red"], "Style": ["loft"], "Unheard": ["of"]
    }  # fmt: skip


def test_under_several_names_the_one_in_force_counts_unless_it_is_blank() -> None:
    names = {"Tint": ["grey"], "Color": ["red"]}
    assert in_force(LIGHTS, names | {"Colour": ["blue"]}) == {"Colour": ["blue"]}
    assert in_force(LIGHTS, names | {"Colour": []}) == {"Colour": ["red"]}
    assert in_force(LIGHTS, names) == {"Colour": ["red"]}


def test_without_aliases_nothing_is_copied() -> None:
    values = {"Style": ["loft"]}
    assert in_force(PLAIN, values) is values


def test_an_attribute_is_asked_for_by_any_of_its_names_and_once() -> None:
    assert asked_for(LIGHTS, ["Style", "Color", "Colour", "Gone"]) == [STYLE, COLOUR]
    assert LIGHTS.select(["Tint"]) == (COLOUR,)
    with pytest.raises(SchemaError, match="no attribute 'Gone'"):
        LIGHTS.select(["Gone"])


def test_a_category_is_found_by_any_of_its_names_and_listed_by_one() -> None:
    schemas = CategorySchemas([LIGHTS])
    assert schemas.find("Lamps") is schemas.find("Lights") is LIGHTS
    assert list(schemas) == ["Lights"]
    assert "Lamps" not in schemas


def test_a_request_under_the_former_name_is_of_the_schema_that_it_was_made_under() -> None:
    before = CategorySchema(category="Lamps", attributes=(STYLE,))
    versions = SchemaVersions(CategorySchemas([before]))
    versions.replace(CategorySchemas([LIGHTS]))
    assert versions.made_under("Lamps", before.hash) is before
    assert versions.made_under("Lamps", LIGHTS.hash) is LIGHTS


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ((COLOUR, Attribute(name="Color", type=AttributeType.TEXT)), "'Color' of attribute 'Col"),
        ((COLOUR, STYLE.model_copy(update={"aliases": ("Tint",)})), "'Tint' of attribute 'Style'"),
        ((STYLE.model_copy(update={"aliases": ("Style",)}),), "'Style' of attribute 'Style'"),
    ],
)
def test_an_alias_that_is_another_name_is_refused(
    attributes: tuple[Attribute, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        CategorySchema(category="Lamps", attributes=attributes)


def test_an_alias_that_is_another_categorys_name_or_alias_is_refused() -> None:
    for other in ({"category": "Lamps"}, {"category": "Torches", "aliases": ("Lamps",)}):
        with pytest.raises(SchemaError, match="the alias 'Lamps' is also the name or an alias"):
            CategorySchemas([LIGHTS, CategorySchema(attributes=(), **other)])


def test_aliases_stand_in_the_schema_file(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    write_schemas(path, {"Lights": LIGHTS})
    assert read_schemas(path)["Lights"] == LIGHTS
    path.write_text(
        '{"Lamps": {"attributes": []}, "Lights": {"aliases": ["Lamps"], "attributes": []}}'
    )
    with pytest.raises(SchemaError, match=r"schema\.json: category 'Lights': the alias 'Lamps'"):
        read_schemas(path)


def test_a_value_is_found_under_every_name_of_its_attribute() -> None:
    found = under_all_names(LIGHTS, {"Color": ["red"], "Watts": ["5"]})
    assert found["Color"] == found["Colour"] == ["red"]
