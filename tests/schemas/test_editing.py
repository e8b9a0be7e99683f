"""A schema file to which a program adds a value of an enum."""

import json
from pathlib import Path

import pytest

from schemas.errors import SchemaError
from schemas.sources.editing import put_in_place, with_values
from schemas.sources.json_schema import read_schemas

TEXT = """{
  "Lamps": {
    "note": "ours",
    "attributes": [
      {"name": "Height", "type": "number", "units": ["cm"]},
      {"type": "enum", "name": "Colour", "aliases": ["Color"], "values": ["réd", "blue"],
       "to_do": [1, 2]}
    ],
    "aliases": ["Lights"]
  },
  "Chairs": {"attributes": []}
}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "schema.json"
    file.write_text(TEXT, encoding="utf-8")
    return file


def test_a_value_comes_last_and_everything_else_stays(path: Path) -> None:
    backup = put_in_place(with_values(path, "Lamps", "Colour", ["lilac", "mauve"]))
    content, before = json.loads(path.read_text(encoding="utf-8")), json.loads(TEXT)
    before["Lamps"]["attributes"][1]["values"] += ["lilac", "mauve"]
    assert json.dumps(content) == json.dumps(before)  # the order, too
    assert '\n  "Lamps": {' in path.read_text(encoding="utf-8")
    assert "réd" in path.read_text(encoding="utf-8")
    assert backup.read_text(encoding="utf-8") == TEXT
    assert sorted(path.parent.iterdir()) == sorted([path, backup])


def test_former_names_will_do(path: Path) -> None:
    put_in_place(with_values(path, "Lights", "Color", ["lilac"]))
    assert read_schemas(path)["Lamps"].by_name["Colour"].values == ("réd", "blue", "lilac")


def test_nothing_is_written_before_it_is_put_in_place(path: Path) -> None:
    edit = with_values(path, "Lamps", "Colour", ["lilac"])
    assert path.read_text(encoding="utf-8") == TEXT
    assert "lilac" in edit.schemas_after["Lamps"].by_name["Colour"].values
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("category", "attribute", "value", "said"),
    [
        ("Lamp", "Colour", "lilac", "has no category 'Lamp'; there are Lamps, Chairs"),
        ("Lamps", "Shade", "lilac", "has no attribute 'Shade'; it has Height, Colour"),
        ("Lamps", "Height", "9 m", "is a number and has no list of values; edit it by hand"),
        ("Lamps", "Colour", "blue", "allows 'blue' already"),
        ("Lamps", "Colour", " ", "`values` and `units` must be non-empty single lines"),
    ],
)
def test_what_cannot_be_added_is_refused_in_a_sentence(
    path: Path, category: str, attribute: str, value: str, said: str
) -> None:
    with pytest.raises(SchemaError) as refused:
        with_values(path, category, attribute, [value])
    assert said in str(refused.value)
    assert str(refused.value).startswith(str(path))
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_somebody_changed_meanwhile_is_left_alone(path: Path) -> None:
    edit = with_values(path, "Lamps", "Colour", ["lilac"])
    path.write_text(TEXT.replace("blue", "green"), encoding="utf-8")
    with pytest.raises(SchemaError, match="was changed meanwhile and is left alone; try again"):
        put_in_place(edit)
    assert "green" in path.read_text(encoding="utf-8")
    assert list(path.parent.iterdir()) == [path]


def test_a_link_keeps_leading_to_the_file(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(path)
    put_in_place(with_values(link, "Lamps", "Colour", ["lilac"]))
    assert link.is_symlink()
    assert "lilac" in path.read_text(encoding="utf-8")


def test_a_file_of_one_line_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text('{"L": {"attributes": [{"name": "c", "type": "enum", "values": ["a"]}]}}')
    put_in_place(with_values(path, "L", "c", ["b"]))
    assert "\n" not in path.read_text()
