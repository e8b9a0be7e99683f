"""A schema file is taken over when it changed and is valid; anything else in it harms nothing."""

import logging
import os
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from schemas.category import CategorySchema, CategorySchemas
from schemas.errors import SchemaError
from schemas.sources.json_schema import write_schemas
from streams.worker.schema_file import SchemaFile

LAMPS = CategorySchemas([CategorySchema(category="Lamps", attributes=())])
BOATS = CategorySchemas([CategorySchema(category="Boats", attributes=())])
EVERY_S = 5.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_schemas(tmp_path / "schema.json", LAMPS)
    return tmp_path / "schema.json"


def taken(file: SchemaFile) -> list[list[str]]:
    """What one look takes over: the categories of the new schemas."""
    found: list[list[str]] = []
    file.look(lambda schemas: found.append(list(schemas)))
    return found


def refused() -> float | None:
    return REGISTRY.get_sample_value("listune_schema_refused")


def test_a_changed_file_is_taken_over_once(path: Path) -> None:
    file = SchemaFile(path, EVERY_S)
    assert taken(file) == []
    write_schemas(path, BOATS)
    assert taken(file) == [["Boats"]]
    assert taken(file) == []


def test_another_file_of_the_same_size_and_time_that_was_renamed_to_it_is_seen(path: Path) -> None:
    file = SchemaFile(path, EVERY_S)
    aside = path.with_name("aside.json")
    write_schemas(aside, BOATS)
    before = path.stat()
    assert aside.stat().st_size == before.st_size
    os.utime(aside, ns=(before.st_atime_ns, before.st_mtime_ns))
    aside.replace(path)
    assert taken(file) == [["Boats"]]


def test_a_file_that_was_only_touched_changes_nothing(path: Path) -> None:
    file = SchemaFile(path, EVERY_S)
    os.utime(path, ns=(1, 1))
    assert taken(file) == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('{"Lamps": {"attributes": [', "not JSON"),
        ("", "not JSON"),
        ('{"Lamps": {"attributes": [{"name": "Colour", "type": "enum"}]}}', "an enum needs"),
        (None, "No such file"),
    ],
    ids=["cut off", "empty", "an enum without values", "gone"],
)
def test_a_broken_file_changes_nothing_is_logged_once_and_shown(
    path: Path, caplog: pytest.LogCaptureFixture, content: str | None, fault: str
) -> None:
    file = SchemaFile(path, EVERY_S)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with caplog.at_level(logging.ERROR):
        assert taken(file) == taken(file) == []
    [record] = caplog.records
    assert fault in record.getMessage()
    assert "until then the schemas in force stay" in record.getMessage()
    assert refused() == 1
    write_schemas(path, BOATS)
    assert taken(file) == [["Boats"]]
    assert refused() == 0


def test_a_broken_file_at_the_start_is_refused(path: Path) -> None:
    path.write_text("{")
    with pytest.raises(SchemaError, match="not JSON"):
        SchemaFile(path, EVERY_S)


def test_what_could_not_be_taken_over_ends_the_look_with_its_error(path: Path) -> None:
    file = SchemaFile(path, EVERY_S)
    write_schemas(path, BOATS)

    def fail(_: object) -> None:
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        file.look(fail)


def test_a_file_that_nobody_is_to_look_at_again_is_not_looked_at(path: Path) -> None:
    file = SchemaFile(path, every_s=0)
    write_schemas(path, BOATS)
    assert taken(file) == []
