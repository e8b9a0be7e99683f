"""Schema files in JSON: read, written, and refused with the place of the fault."""

from pathlib import Path

import pytest

from schemas.category import AttributeType
from schemas.errors import SchemaError
from schemas.sources.json_schema import read_schemas, write_schemas

GOOD = """
{"Lamps": {"products": 3, "attributes": [
  {"name": "Colour", "type": "enum", "values": ["red", "bleu ciel"], "multi_value": true},
  {"name": "Height", "type": "number", "units": ["cm"], "minimum": 0, "filled": 0.5},
  {"name": "Code", "type": "pattern", "pattern": "[A-Z]+", "required": true}]},
 "Anything": {"attributes": []}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "schema.json"


def test_categories_and_attributes_are_read_and_notes_ignored(file: Path) -> None:
    file.write_text(GOOD)
    schemas = read_schemas(file)
    assert list(schemas) == ["Lamps", "Anything"]
    assert [a.type for a in schemas["Lamps"].attributes] == [
        AttributeType.ENUM,
        AttributeType.NUMBER,
        AttributeType.PATTERN,
    ]
    assert schemas["Anything"].attributes == ()


def test_a_byte_order_mark_does_not_matter(file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8-sig")
    assert list(read_schemas(file)) == ["Lamps", "Anything"]


def test_what_is_written_is_read_back_with_the_same_hashes(file: Path) -> None:
    file.write_text(GOOD)
    schemas = read_schemas(file)
    write_schemas(file, schemas)
    again = read_schemas(file)
    assert dict(again) == dict(schemas)
    assert [s.hash for s in again.values()] == [s.hash for s in schemas.values()]


def test_alternative_spellings_switch_several_values_off(file: Path) -> None:
    file.write_text(GOOD)
    assert read_schemas(file)["Lamps"].attributes[0].multi_value
    assert not read_schemas(file, alternatives=True)["Lamps"].attributes[0].multi_value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"Lamps":\n {,', ["line 2, column 3", "not JSON"]),
        ("", ["line 1", "not JSON"]),
        ("[" * 100_000, ["too deep"]),
        ("[]", ["top level is a list"]),
        ("null", ["top level is null"]),
        ('{"Lamps": {"attributes": []}, "Lamps": {}}', ["'Lamps' stands twice"]),
        ('{"Lamps": []}', ["category 'Lamps'", '"attributes"']),
        ('{"": {"attributes": []}}', ["category ''", "at least 1"]),
        ('{"Lamps": {"attributes": {}}}', ["category 'Lamps'", '"attributes"']),
        ('{"Lamps": {"attributes": ["Colour"]}}', ["'Lamps', attribute 1", "a text"]),
        ('{"Lamps": {"attributes": [{"type": "text"}]}}', ["attribute 1: `name`: Field required"]),
        (
            '{"Lamps": {"attributes": [{"name": "Colour", "type": "colour"}]}}',
            ["category 'Lamps', attribute 'Colour': `type`", "'enum'"],
        ),
        (
            '{"Lamps": {"attributes": [{"name": "Colour", "type": "enum"}]}}',
            ["attribute 'Colour'", "at least one entry in `values`"],
        ),
        (
            '{"L": {"attributes": [{"name": "a", "type": "text"}, {"name": "a", "type": "date"}]}}',
            ["category 'L'", "attribute 'a' is defined twice"],
        ),
    ],
)
def test_a_fault_is_one_sentence_with_file_category_and_attribute(
    file: Path, content: str, words: list[str]
) -> None:
    file.write_text(content)
    with pytest.raises(SchemaError) as caught:
        read_schemas(file)
    message = str(caught.value)
    assert "schema.json" in message
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_a_file_that_cannot_be_read_says_so(file: Path) -> None:
    with pytest.raises(SchemaError, match=r"schema\.json: No such file"):
        read_schemas(file)
    file.write_bytes(b'{"caf\xe9": {}}')
    with pytest.raises(SchemaError, match=r"byte 5 is not UTF-8"):
        read_schemas(file)


def test_what_holds_for_a_category_is_read_and_written_and_known_to_its_attributes(
    file: Path,
) -> None:
    file.write_text(
        '{"Lampen": {"locale": "de-DE", "placeholders": ["ohne"], "attributes": ['
        '{"name": "Höhe", "type": "number", "units": ["mm"]},'
        '{"name": "Preis", "type": "number", "locale": "de-CH"}]}}'
    )
    schemas = read_schemas(file)
    height, price = schemas["Lampen"].attributes
    assert (height.locale, height.placeholders, price.locale) == ("de-DE", ("ohne",), "de-CH")
    write_schemas(file, schemas)
    assert [s.hash for s in read_schemas(file).values()] == [s.hash for s in schemas.values()]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ('"locale": "xx-Klingon", "attributes": []', "write one such as en-US or de-DE"),
        (
            '"attributes": [{"name": "a", "type": "number", "units": ["m"], "bound_unit": "km"}]',
            "`bound_unit` 'km' is none of `units`",
        ),
        ('"attributes": [{"name": "\\ud83d", "type": "text"}]', "half of a character"),
        (
            '"attributes": [{"name": "C", "type": "enum", "values": ["a", "\\ud83d"]}]',
            "category 'Lamps', attribute 'C': a text has half of a character",
        ),
    ],
)
def test_an_unknown_locale_a_bound_of_no_unit_and_half_a_character_are_refused(
    file: Path, fields: str, words: str
) -> None:
    file.write_text(f'{{"Lamps": {{{fields}}}}}')
    with pytest.raises(SchemaError) as caught:
        read_schemas(file)
    assert words in str(caught.value)


def test_an_identifier_that_is_a_number_is_told(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(
        '{"Lamps": {"attributes": [{"name": "GTIN-13", "type": "number"},'
        '{"name": "EAN", "type": "pattern", "pattern": "[0-9]{13}"}]}}'
    )
    read_schemas(file)
    (told,) = caplog.messages
    assert "'Lamps', attribute 'GTIN-13'" in told
    assert "make it a pattern" in told
