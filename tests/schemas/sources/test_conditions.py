"""JSON Schema's conditions and forms, as attributes that apply where another has a value."""

from pathlib import Path
from typing import Any

import pytest

from tests.schemas.sources.product_types import FORMS, KETTLE, read

REQUIRED_IN_ONE = {
    "title": "T",
    "oneOf": [FORMS["oneOf"][0] | {"required": ["kind", "watt"]}, FORMS["oneOf"][1]],
}
ONLY_THEN = {
    "title": "T",
    "properties": {"kind": {"enum": ["lamp", "mug"]}},
    "if": {"properties": {"kind": {"const": "lamp"}}},
    "then": {"properties": {"watt": {"type": "number"}}},
    "else": {"properties": {"handle": {"type": "boolean"}}},
}
FORBIDDEN_THEN = {
    "title": "T",
    "properties": {
        "kind": {"enum": ["lamp", "mug"]},
        "watt": {"type": "number"},
        "handle": {"type": "boolean"},
    },
    "allOf": [
        {
            "if": {"properties": {"kind": {"const": "mug"}}},
            "then": {"properties": {"watt": False}},
            "else": {"not": {"anyOf": [{"required": ["handle"]}]}},
        }
    ],
}


NEGATED = ONLY_THEN | {
    "if": {"not": {"anyOf": [{"properties": {"kind": {"const": "mug"}}}]}},
}


def test_what_else_forbids_applies_only_where_the_condition_holds(tmp_path: Path) -> None:
    kettle, reasons = read(tmp_path, KETTLE)
    for name in ("battery.cell_composition", "battery.weight"):
        assert kettle.by_name[name].when == (("batteries_included", ("yes",)),)
    assert reasons["condition makes an attribute required in some cases only"] == 1


@pytest.mark.parametrize("root", [FORMS, ONLY_THEN, FORBIDDEN_THEN, NEGATED])
def test_an_attribute_of_one_form_applies_where_that_form_is_chosen(
    tmp_path: Path, root: dict[str, Any]
) -> None:
    found, reasons = read(tmp_path, root)
    assert reasons == {}
    assert found.by_name["kind"].values == ("lamp", "mug")
    assert found.by_name["watt"].when == (("kind", ("lamp",)),)
    assert found.by_name["handle"].when == (("kind", ("mug",)),)


def test_forms_that_differ_in_one_attribute_take_the_first_and_count_it(tmp_path: Path) -> None:
    forms = [
        {"properties": {"kind": {"const": "a"}, "x": {"type": "string"}, "y": {"maxLength": 1}}},
        {"properties": {"kind": {"const": "b"}, "x": {"type": "number"}, "y": {"maxLength": 2}}},
    ]
    found, reasons = read(
        tmp_path, {"title": "T", "properties": {"y": {"type": "string"}}, "oneOf": forms}
    )
    assert [(a.name, a.type.value) for a in found.attributes] == [
        ("y", "text"),
        ("kind", "enum"),
        ("x", "text"),
    ]
    assert found.by_name["y"].max_length is None
    assert reasons == {
        "limit differs between forms: the first is taken": 2,
        "condition limits an attribute in some cases only": 1,
    }


def test_what_is_required_where_it_applies_is_required(tmp_path: Path) -> None:
    kind, number = {"enum": ["lamp", "mug"]}, {"type": "number"}
    is_lamp = {"properties": {"kind": {"const": "lamp"}}}
    forbidden = {"not": {"required": ["watt"]}}
    known = {
        "title": "T",
        "properties": {"kind": kind, "watt": number},
        "if": is_lamp,
        "then": {"required": ["watt"]},
        "else": forbidden,
    }
    brought = {
        "title": "T",
        "properties": {"kind": kind},
        "if": is_lamp,
        "then": {"properties": {"watt": number}, "required": ["watt"]},
    }
    for root in (known, brought, REQUIRED_IN_ONE):
        found, reasons = read(tmp_path, root)
        assert found.by_name["watt"].when == (("kind", ("lamp",)),)
        assert found.by_name["watt"].required
        assert reasons == {}


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"properties": {"kind": {"pattern": "a"}}}, "is more than a schema can say"),
        ({"required": ["kind"]}, "is more than a schema can say"),
        ({"properties": {"free": {"const": "a"}}}, "is on a text"),
        ({"properties": {"nowhere": {"const": "a"}}}, "is on an attribute that is not asked for"),
        ({"properties": {"kind": {"const": "z"}}}, "is on values that the other attribute lacks"),
        ({"properties": {"x": {"const": "a"}}}, "is on an attribute that is not asked for"),
    ],
)
def test_a_condition_that_a_schema_cannot_say_is_left_out_and_counted(
    tmp_path: Path, condition: dict[str, Any], reason: str
) -> None:
    properties = {"kind": {"enum": ["a"]}, "free": {"type": "string"}, "x": {"enum": ["a"]}}
    root = {"title": "T", "properties": properties, "if": condition}
    found, reasons = read(tmp_path, root | {"else": {"not": {"required": ["x"]}}})
    assert found.by_name["x"].when == ()
    assert reasons == {f"condition {reason}": 1}
