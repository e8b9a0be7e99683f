"""Category schemas: what they refuse, what they hash, what they select."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.errors import SchemaError

RED = Attribute(name="Color", type=AttributeType.ENUM, values=("red",))
SIZE = Attribute(name="Size", type=AttributeType.TEXT)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "enum"}, "at least one entry"),
        ({"type": "enum", "values": ["a", " "]}, "non-empty"),
        ({"type": "enum", "values": ["a\nb"]}, "single lines"),
        ({"type": "enum", "values": ["a|b"], "multi_value": True}, "cannot have '|'"),
        ({"type": "enum", "values": [str(n) for n in range(10_001)]}, "make it a text"),
        ({"type": "colour"}, "Input should be"),
        ({"type": "pattern"}, "regular expression"),
        ({"type": "pattern", "pattern": "("}, "no regular expression"),
        ({"type": "pattern", "pattern": "(a+)+"}, "repeats a repetition"),
        ({"type": "pattern", "pattern": "a" * 201}, "longer than 200"),
        ({"type": "number", "minimum": 2, "maximum": 1}, "above"),
        ({"type": "text", "max_length": 0}, "greater than"),
        ({"type": "text", "name": " x"}, "space at its ends"),
        ({"type": "text", "name": ""}, "at least 1"),
    ],
)
def test_a_wrong_attribute_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=r".") as caught:
        Attribute.model_validate({"name": "x"} | fields)
    assert reason in str(caught.value)


def test_unknown_fields_are_ignored() -> None:
    assert Attribute.model_validate({"name": "Size", "type": "text", "filled": 0.5}) == SIZE


def test_an_attribute_defined_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="'Color' is defined twice"):
        CategorySchema(category="Lamps", attributes=(RED, SIZE, RED))


def test_the_hash_is_of_the_content_and_the_same_in_every_process() -> None:
    schema = CategorySchema(category="Lamps", attributes=(RED, SIZE))
    assert schema.hash == CategorySchema(category="Lamps", attributes=(RED, SIZE)).hash
    assert schema.hash != CategorySchema(category="Lamps", attributes=(SIZE, RED)).hash
    code = (
        "from schemas.category import *;"
        f"print(CategorySchema.model_validate_json({schema.model_dump_json()!r}).hash)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == schema.hash


def test_select_keeps_the_schemas_order_and_none_stands_for_all() -> None:
    schema = CategorySchema(category="Lamps", attributes=(RED, SIZE))
    assert schema.select(["Size", "Color"]) == schema.select(None) == (RED, SIZE)
    assert schema.select([]) == ()


def test_select_names_what_the_category_does_not_have() -> None:
    schema = CategorySchema(category="Lamps", attributes=(RED,))
    with pytest.raises(SchemaError, match=r"'Lamps' has no attribute 'Size', 'Voltage'"):
        schema.select(["Voltage", "Color", "Size"])


def test_schemas_are_found_by_category() -> None:
    lamps = CategorySchema(category="Lamps", attributes=(RED,))
    schemas = CategorySchemas([lamps])
    assert schemas["Lamps"] is lamps
    assert list(schemas) == ["Lamps"]
    assert len(schemas) == 1
    assert schemas.get("Tents") is None


def test_a_schema_that_sets_no_later_field_keeps_the_hash_that_it_had() -> None:
    schema = CategorySchema(
        category="L",
        attributes=(
            Attribute(name="c", type=AttributeType.ENUM, values=("a",), description="x"),
            Attribute(name="n", type=AttributeType.NUMBER, minimum=1, required=True),
            Attribute(name="t", type=AttributeType.TEXT, max_length=3),
        ),
    )
    assert schema.hash == "e1742732065c44eaffb3f9776f9c39972dd80dcb210d46676d73d6cc7b9c2d08"
