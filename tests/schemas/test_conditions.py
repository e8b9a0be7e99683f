"""An attribute applies only where another one has a value."""

import json
from pathlib import Path

import pytest

from schemas.category import Attribute, AttributeType, CategorySchema
from schemas.completeness import scores
from schemas.conditions import applying
from schemas.errors import SchemaError
from schemas.sources.json_schema import read_schemas, write_schemas

ENUM, TEXT = AttributeType.ENUM, AttributeType.TEXT
POWER = Attribute(name="Power", type=ENUM, values=("mains", "battery", "solar"))
CELL = Attribute(name="Cell", type=TEXT, when={"Power": ["battery", "solar"]})
STYLE = Attribute(name="Style", type=TEXT)
ATTRIBUTES = (POWER, CELL, STYLE)


@pytest.mark.parametrize(
    ("power", "applies"),
    [(["battery"], True), (["solar"], True), (["mains"], False), ([], False)],
)
def test_it_applies_where_the_other_has_one_of_the_values(power: list[str], applies: bool) -> None:
    assert (CELL in applying(ATTRIBUTES, {"Power": power})) is applies


def test_values_compare_as_they_do_everywhere() -> None:
    powers = POWER.model_copy(update={"multi_value": True})
    assert CELL in applying((powers, CELL), {"Power": ["mains", "Battery"]})


def test_several_conditions_must_all_hold() -> None:
    both = STYLE.model_copy(update={"when": (*CELL.when, ("Sold", ("yes",)))})
    sold = Attribute(name="Sold", type=AttributeType.BOOLEAN)
    attributes = (POWER, sold, both)
    assert both in applying(attributes, {"Power": ["solar"], "Sold": ["yes"]})
    assert both not in applying(attributes, {"Power": ["solar"], "Sold": ["no"]})


def test_where_the_other_was_not_asked_for_whoever_asked_has_judged_it() -> None:
    assert applying([CELL], {}) == [CELL]
    assert applying([CELL], {"Power": ["mains"]}) == []


def test_what_does_not_apply_to_the_catalogs_values_counts_on_neither_side() -> None:
    catalog = {"Power": ["mains"], "Style": ["loft"]}
    found = scores(ATTRIBUTES, catalog, {"Power": ["battery"], "Cell": ["AA"]})
    assert (found.c_catalog, found.c_model, found.deficit) == (1.0, 0.5, 0.5)
    found = scores(ATTRIBUTES, {"Power": ["battery"], "Cell": ["AA"]}, {"Power": ["mains"]})
    assert (found.c_catalog, found.c_model) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_a_condition_stands_in_the_schema_file_as_an_object(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    schema = CategorySchema(category="Lamps", attributes=ATTRIBUTES)
    write_schemas(path, {"Lamps": schema})
    assert json.loads(path.read_text())["Lamps"]["attributes"][1]["when"] == {
        "Power": ["battery", "solar"]
    }
    assert read_schemas(path)["Lamps"] == schema
    assert hash(read_schemas(path)["Lamps"].attributes[1]) == hash(CELL)


def test_one_value_may_stand_without_its_list() -> None:
    assert Attribute(name="Cell", type=TEXT, when={"Power": "solar"}).when == (
        ("Power", ("solar",)),
    )


def test_without_the_new_fields_a_schema_keeps_its_hash() -> None:
    """That of a schema from before there were any."""
    schema = CategorySchema(category="Lamps", attributes=(POWER, STYLE))
    assert schema.hash == "e04d2c933ba6fdbbf8244a6fb5fc787c92ae772d03a4b6b285f3ec68069198c5"


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"Nothing": ["x"]}, "'Nothing': is no attribute of this category"),
        ({"Style": ["x"]}, "'Style': is a text; name an enum or a boolean"),
        ({"Power": ["nuclear"]}, "'nuclear' is not one of its values"),
        ({"Power": []}, "'Power': has no values"),
        ({"Kind": ["a"]}, "'Kind': has a `when` itself, and conditions do not chain"),
        ({"Cell": ["a"]}, "'Cell': is the attribute itself"),
    ],
)
def test_a_condition_that_cannot_be_met_is_refused(
    tmp_path: Path, when: dict[str, list[str]], words: str
) -> None:
    attributes = [
        {"name": "Power", "type": "enum", "values": ["mains", "battery"]},
        {"name": "Style", "type": "text"},
        {"name": "Kind", "type": "enum", "values": ["a"], "when": {"Power": ["mains"]}},
        {"name": "Cell", "type": "enum", "values": ["a"], "when": when},
    ]
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"Lamps": {"attributes": attributes}}))
    with pytest.raises(SchemaError, match=f"category 'Lamps'.*attribute 'Cell'.*{words}"):
        read_schemas(path)
