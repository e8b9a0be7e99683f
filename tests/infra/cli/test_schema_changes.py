"""`listune schemas check`: what a new schema file would change, and what the pool would lose."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from schemas.category import CategorySchema
from schemas.sources.json_schema import write_schemas
from tests.streams.world import LAMP, World

COLOUR, *OTHERS = LAMP.attributes


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LISTUNE_STREAMS__POOL_DIR", str(tmp_path / "pool"))
    write_schemas(Path("schema.json"), {"Lamps": LAMP})


def check(**renamed: object) -> tuple[int, str]:
    """With a file in which the colour is changed."""
    colour = COLOUR.model_copy(update=renamed)
    schema = CategorySchema(category="Lamps", attributes=(colour, *OTHERS))
    write_schemas(Path("new.json"), {"Lamps": schema})
    shown = CliRunner().invoke(app, ["schemas", "check", "new.json"])
    return shown.exit_code, " ".join(shown.output.replace("│", " ").split())


def test_what_would_be_lost_is_counted_before_it_is_taken_over(tmp_path: Path) -> None:
    world = World(tmp_path / "pool")
    world.sell_many(3)
    world.pool.close()
    code, said = check(name="Color")
    assert code == 1
    assert "Lamps Colour gone 3" in said
    assert "Lamps Color new" in said
    assert "3 values would be lost. What was only renamed keeps its values" in said


def test_a_rename_with_its_alias_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path / "pool")
    world.sell("a")
    world.pool.close()
    code, said = check(name="Color", aliases=("Colour",))
    assert code == 0
    assert "Lamps Color renamed Colour" in said
    assert "lost." not in said


def test_without_a_pool_the_changes_are_shown_alone() -> None:
    code, said = check(name="Color")
    assert code == 0
    assert "there is no pool yet" in said
    assert "Lamps Colour gone" in said


def test_equal_files_say_the_same() -> None:
    code, said = check()
    assert (code, "new.json says the same as schema.json" in said) == (0, True)
