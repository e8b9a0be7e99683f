"""JSON Schema, and Amazon's product types above all, as category schemas."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.category import AttributeType
from schemas.errors import SchemaError
from schemas.sources.definitions.patterns import whole
from schemas.sources.definitions.reader import read_definitions
from tests.schemas.sources.product_types import FORMS, GRAMS, KETTLE, attribute, listed, read
from tests.schemas.sources.reading import told, written


def test_a_product_type_is_a_category_and_nested_attributes_have_dots(tmp_path: Path) -> None:
    kettle, reasons = read(tmp_path, KETTLE)
    assert kettle.category == "KETTLE"
    assert [(a.name, a.type.value) for a in kettle.attributes] == [
        ("color", "enum"),
        ("color.standardized_values", "text"),
        ("battery.cell_composition", "enum"),
        ("battery.weight", "number"),
        ("batteries_included", "boolean"),
        ("model_number", "text"),
    ]
    assert reasons["attribute is the listing's own text"] == 1
    assert reasons["attribute is of the offer, the page or the family, not of the product"] == 1
    assert reasons["attribute is hidden from sellers"] == 1


def test_limits_units_and_the_words_of_values_are_kept(tmp_path: Path) -> None:
    kettle, _ = read(tmp_path, KETTLE)
    color, weight = kettle.by_name["color"], kettle.by_name["battery.weight"]
    assert (color.values, color.open, color.required) == (("red", "jet black"), True, True)
    assert (color.multi_value, color.max_values, color.max_length) == (True, 3, 50)
    assert (weight.units, weight.minimum, weight.multi_value) == (("grams", "kilograms"), 0, False)
    assert kettle.by_name["battery.cell_composition"].values == ("NiMH", "Lithium")
    assert kettle.by_name["model_number"].max_length == 30
    assert kettle.find("Colour") is color


def test_a_bound_holds_for_one_unit_and_not_for_each_of_several(tmp_path: Path) -> None:
    number = {"type": "number", "minimum": 0, "maximum": 5}
    several, reasons = attribute(tmp_path, **listed(number, unit=GRAMS))
    one, _ = attribute(tmp_path, **listed(number, unit={"enum": ["grams"]}))
    assert (several.minimum, several.maximum) == (0, None)
    assert (one.minimum, one.maximum) == (0, 5)
    assert reasons["limit is a bound in any of several units: there is none"] == 1


def test_what_is_deprecated_is_left_out(tmp_path: Path) -> None:
    lifecycle = {"$lifecycle": {"enumDeprecated": ["b"]}}
    found, reasons = attribute(tmp_path, type="string", enum=["a", "b"], **lifecycle)
    assert found.values == ("a",)
    assert reasons == {"value is deprecated": 1}
    properties = {"x": {"type": "string", "deprecated": True}}
    schema, reasons = read(tmp_path, {"title": "T", "properties": properties})
    assert schema.attributes == ()
    assert reasons == {"attribute is deprecated": 1}


def test_the_file_notes_ids_and_codes_to_send_values_back(tmp_path: Path) -> None:
    read(tmp_path, KETTLE)
    content = json.loads((tmp_path / "written.json").read_text(encoding="utf-8"))
    cells = content["KETTLE"]["attributes"][2]
    assert (cells["id"], cells["codes"]) == ("battery/cell_composition/value", ["NiMh", "li"])


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "boolean"}, {"type": "boolean"}),
        ({"type": ["string", "null"], "maxLength": 9}, {"type": "text", "max_length": 9}),
        ({"enum": [1, 2, None]}, {"type": "enum", "values": ["1", "2"]}),
        ({"const": "a"}, {"type": "enum", "values": ["a"]}),
        ({"type": "string", "format": "date"}, {"type": "date"}),
        ({"type": "integer", "maximum": 5}, {"type": "number", "maximum": 5.0}),
        ({"type": "number", "exclusiveMinimum": 2}, {"type": "number", "minimum": 2.0}),
        ({"type": "number", "minimum": 5, "maximum": 2}, {"type": "number"}),
        (
            {"type": "string", "pattern": "^[A-Z]{2}$"},
            {"type": "pattern", "pattern": "[A-Z]{2}"},
        ),
        ({"type": "string", "pattern": "(a+)+b"}, {"type": "text"}),
        ({"type": "string", "pattern": "["}, {"type": "text"}),
        (
            {"oneOf": [{"const": "a", "title": "Ah"}, {"const": "b", "title": "Be"}]},
            {"type": "enum", "values": ["Ah", "Be"]},
        ),
        (
            {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
            {"type": "enum", "values": ["a", "b"], "multi_value": True, "max_values": 2},
        ),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, {"type": "boolean"}),
        (
            {"allOf": [{"type": "string", "maxLength": 9}, {"maxLength": 5}]},
            {"type": "text", "max_length": 5},
        ),
        ({"type": "string", "maxLength": 99_999}, {"type": "text", "max_length": 10_000}),
    ],
)
def test_keywords_become_types_and_limits(
    tmp_path: Path, schema: dict[str, Any], expected: dict[str, Any]
) -> None:
    found, _ = attribute(tmp_path, **schema)
    fields = found.model_dump(mode="json", exclude_defaults=True)
    assert fields == {"name": "x"} | expected


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "integer"}, "limit is a whole number: decimals are not refused"),
        ({"type": "number", "multipleOf": 2}, "limit multiples are not asked for"),
        ({"type": "string", "format": "email"}, "limit is of the format email: this is"),
        ({"type": "string", "not": {"const": "a"}}, "limit excludes some values"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, "limit needs several"),
        ({"type": "string", "minLength": 2}, "limit has a least length: shorter ones are not"),
        ({"type": "string", "pattern": "["}, "limit has a pattern that a schema refuses: it is"),
        ({"type": "string", "format": "date-time"}, "limit is a time of day: it is a text"),
        ({"enum": ["a", "a", " ", "b" * 300]}, "value stands twice"),
        ({"enum": ["a", "a", " ", "b" * 300]}, "value is blank"),
        ({"enum": ["a", "a", " ", "b" * 300]}, "value has more than 200 characters"),
        (
            {"type": "array", "items": {"enum": ["a|b", "c"]}},
            "value has a |, and its attribute takes several values",
        ),
    ],
)
def test_what_a_schema_cannot_say_is_counted_by_reason(
    tmp_path: Path, schema: dict[str, Any], reason: str
) -> None:
    _, reasons = attribute(tmp_path, **schema)
    assert any(told.startswith(reason) for told in reasons), reasons


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (True, "says nothing of what it is"),
        ({}, "says nothing of what it is"),
        ({"type": "object"}, "is an object of any names"),
        ({"type": "array"}, "is a list that does not say of what"),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, "is a list that does not say"),
        ({"$ref": "other.json"}, "refers to another file"),
        ({"$ref": "#/$defs/nowhere"}, "refers to what is not there"),
        ({"$ref": "#/$defs/round"}, "refers to itself"),
        ({"$ref": "#"}, "refers to itself"),
        ({"$ref": "#/$defs/tree"}, "refers to itself"),
        ({"allOf": [{"$ref": "#/$defs/list"}]}, "refers to itself"),
        ({"maxLength": 3}, "does not say of which type it is"),
        ({"enum": [" "]}, "has no value that a schema can have"),
        ({"type": "string", "hidden": True}, "is hidden from sellers"),
    ],
)
def test_an_attribute_that_a_schema_cannot_have_is_left_out_and_counted(
    tmp_path: Path, schema: Any, reason: str
) -> None:
    root = {
        "title": "T",
        "$defs": {
            "round": {"$ref": "#/$defs/round"},
            "tree": {"properties": {"below": {"$ref": "#/$defs/tree"}}},
            "list": {
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/list"}, {"type": "null"}]}}
            },
        },
        "properties": {"y": {"type": "string"}, "x": schema},
    }
    found, reasons = read(tmp_path, root)
    assert not any(a.name == "x" for a in found.attributes)
    assert "y" in found.by_name
    assert any(told.startswith(f"attribute {reason}") for told in reasons), reasons


def test_names_that_are_the_same_after_flattening_are_told_apart(tmp_path: Path) -> None:
    text = {"type": "string"}
    root = {"title": "T", "properties": {"a.b": text, "a": {"properties": {"b": text}}}}
    found, reasons = read(tmp_path, root)
    assert [a.name for a in found.attributes] == ["a.b", "a.b (a/b)"]
    assert reasons["attribute has a name that stands twice: its id was put behind it"] == 1


def test_a_name_that_a_schema_refuses_is_cut_or_left_out(tmp_path: Path) -> None:
    text = {"type": "string"}
    root = {"title": "T", "properties": {"a\nb": text, "n" * 300: text, "": text, "\ud83d": text}}
    found, reasons = read(tmp_path, root)
    assert [a.name for a in found.attributes] == ["a b", "n" * 99 + "…"]
    assert reasons["attribute has no name of its own"] == 2


def test_a_ref_by_the_documents_own_id_is_followed(tmp_path: Path) -> None:
    root = {
        "$id": "https://example.com/t.json",
        "title": "T",
        "$defs": {"a": {"type": "boolean"}},
        "properties": {"x": {"$ref": "https://example.com/t.json#/$defs/a"}},
    }
    assert read(tmp_path, root)[0].by_name["x"].type is AttributeType.BOOLEAN


def test_a_number_of_any_name_beside_a_unit_has_that_unit(tmp_path: Path) -> None:
    size = {"type": "object", "properties": {"amount": {"type": "number"}, "unit": GRAMS}}
    root = {"title": "T", "properties": {"size": size}}
    found, _ = read(tmp_path, root)
    assert [(a.name, a.units) for a in found.attributes] == [
        ("size.amount", ("grams", "kilograms"))
    ]


@pytest.mark.parametrize(
    ("pattern", "matches", "refuses"),
    [
        ("^[A-Z]+$", ["AB"], ["AB1", "1AB"]),
        ("[0-9]", ["a1b", "1"], ["a"]),
        ("^a|b$", ["axx", "xxb"], ["xbx"]),
        ("^(a|b)$", ["a", "b"], ["ab"]),
        (r"^a\|b$", ["a|b"], ["a"]),
        (r"a\$", ["xa$x"], ["a"]),
        ("[|]", ["x|x"], ["x"]),
    ],
)
def test_a_pattern_that_is_searched_for_matches_the_whole_as_well(
    pattern: str, matches: list[str], refuses: list[str]
) -> None:
    for value in matches:
        assert re.fullmatch(whole(pattern), value), (whole(pattern), value)
    for value in refuses:
        assert not re.fullmatch(whole(pattern), value), (whole(pattern), value)


def test_more_values_than_a_schema_takes_become_a_text(tmp_path: Path) -> None:
    found, reasons = attribute(tmp_path, enum=[f"v{n}" for n in range(10_001)])
    assert (found.type, found.max_length) == (AttributeType.TEXT, 6)
    assert reasons == {"attribute has more than 10,000 values: it is a text": 1}


def test_files_of_a_folder_are_a_category_each(tmp_path: Path) -> None:
    folder = tmp_path / "definitions"
    folder.mkdir()
    for name in ("Lamp", "Mug"):
        root = {"title": name, "properties": {"x": {"type": "string"}}}
        (folder / f"{name}.json").write_text(json.dumps(root))
    schemas, _ = written(read_definitions([folder]), tmp_path)
    assert list(schemas) == ["Lamp", "Mug"]


REFS = {f"d{n}": {"properties": {f"p{i}": {"$ref": f"#/$defs/d{n + 1}"} for i in range(9)}}
        for n in range(9)}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("[]", "is no object"),
        ("{}", "has no `properties`"),
        ('{"Mugs": {"attributes": []}}', "has no `properties`"),
        ("{", "line 1, column 2: not JSON"),
        ('{"a":' * 1_000_000, "nested too deep"),
        ('{"schema": {"link": {"resource": "https://…"}}}', "fetch what its schema.link.resource"),
        ('{"properties": {"a": ' + "9" * 5_000 + "}}", "not JSON"),
    ],
)
def test_another_file_and_one_without_end_is_refused_in_a_sentence(
    tmp_path: Path, content: str, words: str
) -> None:
    (tmp_path / "file.json").write_text(content)
    with pytest.raises(SchemaError) as caught:
        written(read_definitions([tmp_path / "file.json"]), tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_refs_without_end_are_refused(tmp_path: Path) -> None:
    root = {"$defs": REFS, "properties": {"x": {"$ref": "#/$defs/d0"}}}
    with pytest.raises(SchemaError, match="more than 200,000 parts when its \\$refs are followed"):
        read(tmp_path, root)


@pytest.mark.parametrize(
    "content",
    [
        '{"properties": ' * 300 + "{}" + "}" * 300,
        '{"properties": {"x": ' + '{"items": ' * 240 + "{}" + "}" * 242,
        '{"properties": {"x": ' + '{"allOf": [' * 240 + "{}" + "]}" * 240 + "}}",
    ],
)
def test_deep_nesting_is_refused_or_counted(tmp_path: Path, content: str) -> None:
    (tmp_path / "file.json").write_text(content)
    try:
        _, built = written(read_definitions([tmp_path / "file.json"]), tmp_path)
    except SchemaError as error:
        refused = str(error)
    else:
        refused = " ".join(told(built))
    assert "nested too deep" in refused or "says nothing" in refused or "of which type" in refused


JUNK = (None, True, -1, 1e308, "", "#", "\n", "n" * 300, [], [None], {}, {"enum": [[], {}]},
        {"$ref": "#"}, {"type": 5}, {"properties": []}, [{"if": 1}])  # fmt: skip


@pytest.mark.slow
def test_whatever_stands_anywhere_in_a_schema_is_read_or_refused_in_a_sentence(
    tmp_path: Path,
) -> None:
    said = []
    for seed in range(100):
        chance = random.Random(seed)
        root = json.loads(json.dumps(KETTLE | FORMS))
        for _ in range(2):
            place = chance.choice(list(places(root)))
            place[chance.choice(sorted(place))] = chance.choice(JUNK)
        (tmp_path / "file.json").write_text(json.dumps(root))
        try:
            written(read_definitions([tmp_path / "file.json"]), tmp_path)
        except SchemaError as error:
            said.append(str(error))
    assert len(said) < 50
    assert not any("\n" in sentence for sentence in said)


def places(schema: Any) -> Iterator[dict[str, Any]]:
    """The objects in a schema that have something in them."""
    if isinstance(schema, dict) and schema:
        yield schema
    for inner in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(inner, dict | list):
            yield from places(inner)
