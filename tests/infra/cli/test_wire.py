"""`listune schemas` and `listune asyncapi`: what a producer in another language needs to know."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from schemas.asyncapi import asyncapi_document
from schemas.errors import ListuneError
from schemas.sources.json_schema import read_schemas

REPOSITORY = Path(__file__).parents[3]
SCHEMA = """{
  "Lamps": {"attributes": [{"name": "Colour", "type": "enum", "values": ["red"]},
                           {"name": "Style [new]", "type": "text"}]},
  "Boats": {"attributes": []}
}"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A working folder with a schema file, and nothing up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("schema.json").write_text(SCHEMA)


def said(*arguments: str) -> str:
    ran = CliRunner().invoke(app, list(arguments))
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_schemas_lists_each_category_with_its_attributes_and_its_hash() -> None:
    shown = said("schemas")
    for category, schema in read_schemas(Path("schema.json")).items():
        [line] = [line for line in shown.splitlines() if category in line]
        assert schema.hash in line
        assert all(attribute.name in line for attribute in schema.attributes)


def test_schemas_as_json_is_for_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    known = read_schemas(Path("schema.json"))
    expected = {
        "Lamps": {"hash": known["Lamps"].hash, "attributes": ["Colour", "Style [new]"]},
        "Boats": {"hash": known["Boats"].hash, "attributes": []},
    }
    assert json.loads(said("schemas", "--json")) == expected
    Path("schema.json").rename("other.json")
    assert json.loads(said("schemas", "--json", "--schema", "other.json")) == expected
    monkeypatch.setenv("LISTUNE_STREAMS__SCHEMA_PATH", "other.json")
    assert json.loads(said("schemas", "--json")) == expected


def test_asyncapi_writes_the_document_of_the_topics_that_the_settings_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert json.loads(said("asyncapi")) == asyncapi_document()
    monkeypatch.setenv("LISTUNE_STREAMS__PREFIX", "de.")
    said("asyncapi", "--out", "de.json")
    written = json.loads(Path("de.json").read_text())
    assert written == asyncapi_document("de.")
    assert written["channels"]["listing.requests"]["address"] == "de.listing.requests"


@pytest.mark.parametrize(
    "arguments", [("asyncapi", "--out", "gone/x.json"), ("schemas", "--schema", "gone.json")]
)
def test_a_file_that_is_not_there_is_one_sentence(arguments: tuple[str, ...]) -> None:
    error = CliRunner().invoke(app, list(arguments)).exception
    assert isinstance(error, ListuneError)
    assert str(error).startswith(arguments[2])
    assert "; give" in str(error)


def test_the_document_in_the_repository_is_that_of_the_events() -> None:
    kept = json.loads((REPOSITORY / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
    assert kept == asyncapi_document(), "run `listune asyncapi --out docs/asyncapi.json`"
