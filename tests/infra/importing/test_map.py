"""The page on imports says what a map and the formats are."""

import re
import tomllib
from pathlib import Path

from infra.importing.formats.known import FORMATS
from infra.importing.map import ImportMap, _Part
from infra.importing.map_file import map_text

PAGE = (Path(__file__).parents[3] / "docs" / "import.md").read_text(encoding="utf-8")


def example() -> str:
    found = re.search(r"<!-- example: map.toml -->\n```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_is_a_map_and_is_the_same_when_it_is_written() -> None:
    read = ImportMap.model_validate(tomllib.loads(example()))
    assert ImportMap.model_validate(tomllib.loads(map_text(read, {}))) == read


def test_the_example_names_every_field_of_a_map() -> None:
    fields = {name for part in _Part.__subclasses__() for name in part.model_fields}
    named = set(re.findall(r"\b(\w+) = ", example())) | set(
        re.findall(r"^\[+(\w+)", example(), re.M)
    )
    assert fields - named == {"column"} - named


def test_the_table_has_every_format() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert rows == {one.name for one in FORMATS}
