"""JSON Schemas to read, such as one of Amazon's product types, and how a test reads one."""

import json
from pathlib import Path
from typing import Any

from schemas.category import Attribute, CategorySchema
from schemas.sources.definitions.reader import read_definitions
from tests.schemas.sources.reading import told, written

AMAZON = "https://schemas.amazon.com/selling-partners/definitions/product-types"


def listed(value: dict[str, Any], most: int = 1, **beside: Any) -> dict[str, Any]:
    """A property as Amazon writes it: a list of objects with a value."""
    return {
        "type": "array",
        "maxUniqueItems": most,
        "selectors": ["marketplace_id"],
        "items": {
            "type": "object",
            "required": ["value"],
            "properties": {
                "value": value,
                "marketplace_id": {"$ref": "#/$defs/marketplace_id"},
                "language_tag": {"$ref": "#/$defs/language_tag"},
                **beside,
            },
        },
    }


GRAMS = {"type": "string", "enum": ["grams", "kilograms"], "enumNames": ["Grams", "Kilograms"]}
KETTLE = {
    "$schema": f"{AMAZON}/meta-schema/v1",
    "$id": f"{AMAZON}/schema/v1/KETTLE",
    "$defs": {
        "marketplace_id": {"type": "string", "hidden": True},
        "language_tag": {"type": "string", "hidden": True},
    },
    "type": "object",
    "required": ["color", "item_name"],
    "properties": {
        "item_name": listed({"type": "string", "maxLength": 200}),
        "purchasable_offer": {"type": "array", "items": {"type": "object", "properties": {}}},
        "color": {"title": "Colour"}
        | listed(
            {
                "type": "string",
                "maxLength": 50,
                "anyOf": [{"type": "string"}, {"type": "string", "enum": ["red", "jet black"]}],
            },
            most=3,
            standardized_values={"type": "array", "items": {"type": "string", "maxLength": 9}},
        ),
        "battery": {
            "type": "array",
            "maxUniqueItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "marketplace_id": {"$ref": "#/$defs/marketplace_id"},
                    "cell_composition": listed(
                        {"type": "string", "enum": ["NiMh", "li"], "enumNames": ["NiMH", "Lithium"]}
                    ),
                    "weight": listed({"type": "number", "minimum": 0}, unit=GRAMS),
                },
            },
        },
        "batteries_included": listed({"type": "boolean", "enum": [True, False]}),
        "secret": listed({"type": "string"}) | {"hidden": True},
        "model_number": listed({"type": "string", "maxLength": 40, "maxUtf8ByteLength": 30}),
    },
    "allOf": [
        {
            "if": {
                "required": ["batteries_included"],
                "properties": {
                    "batteries_included": {
                        "contains": {
                            "required": ["value"],
                            "properties": {"value": {"enum": [True]}},
                        }
                    }
                },
            },
            "then": {"required": ["battery"]},
            "else": {"not": {"required": ["battery"]}},
        },
        {"if": {"required": ["color"]}, "then": {"required": ["model_number"]}},
    ],
}  # fmt: skip
FORMS = {
    "title": "T",
    "oneOf": [
        {"properties": {"kind": {"const": "lamp"}, "watt": {"type": "number"}}},
        {"properties": {"kind": {"const": "mug"}, "handle": {"type": "boolean"}}},
    ],
}


def read(tmp_path: Path, root: Any, name: str = "product.json") -> tuple[CategorySchema, Any]:
    (tmp_path / name).write_text(json.dumps(root), encoding="utf-8")
    schemas, built = written(read_definitions([tmp_path / name]), tmp_path)
    (schema,) = schemas.values()
    return schema, told(built)


def attribute(tmp_path: Path, **schema: Any) -> tuple[Attribute, dict[str, int]]:
    """A property `x` alone."""
    found, reasons = read(tmp_path, {"title": "T", "properties": {"x": schema}})
    return found.by_name["x"], reasons
