"""`listune proposals` and `listune drift`: what live traffic says, on the command line."""

from itertools import chain
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.sources.json_schema import read_schemas, write_schemas
from tests.streams.world import DAY_MS, LAMP, SUBMITTED, World, prediction, request, review

FILE = Path("schema.json")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LISTUNE_STREAMS__POOL_DIR", str(tmp_path / "pool"))
    write_schemas(FILE, {"Lamps": LAMP})


@pytest.fixture
def typed(tmp_path: Path) -> None:
    """Two sellers typed a lilac lamp, one in two ways, and both a unit that is none."""
    world = World(tmp_path / "pool")
    for number, colour in enumerate(("lilac", "Lilac")):
        asked = request(f"l{number}", seller_id=f"seller-{number}")
        answer = prediction(asked)
        values = {**SUBMITTED, "Colour": [colour], "Height": ["3 parsec"]}
        world.feed(asked, answer, review(answer, submitted=values))
    world.pool.close()


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    said = " ".join((done.output + str(done.exception or "")).split())
    return done.exit_code, said


def colours() -> tuple[str, ...]:
    return read_schemas(FILE)["Lamps"].by_name["Colour"].values


@pytest.mark.usefixtures("typed")
def test_proposals_are_listed_with_what_would_have_to_change() -> None:
    code, said = run("proposals")
    assert code == 0
    assert "2 2 allow it" in said
    assert "Lamps Height 3 parsec 2 2 add the unit to `units`" in said


@pytest.mark.usefixtures("typed")
def test_an_accepted_value_is_in_the_file_and_no_longer_proposed(tmp_path: Path) -> None:
    code, said = run("proposals", "accept", "Lamps", "Colour", "lilac")
    assert code == 0, said
    assert "allows 'lilac' now; the former file is schema.json." in said
    assert "Workers look at it every 5 s." in said
    assert colours() == ("red", "blue", "lilac")
    world = World(tmp_path / "pool")
    world.schemas = read_schemas(FILE)
    world.reopen()
    assert world.rows("SELECT attribute FROM proposals") == [("Height",)]
    world.pool.close()


@pytest.mark.usefixtures("typed")
def test_further_spellings_are_values_of_their_own() -> None:
    assert run("proposals", "accept", "Lamps", "Colour", "lilac", "--spelling", "LILAC")[0] == 0
    assert colours() == ("red", "blue", "lilac", "LILAC")


@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Lamp", "Colour", "lilac"), "has no category 'Lamp'"),
        (("Lamps", "Shade", "lilac"), "has no attribute 'Shade'"),
        (("Lamps", "Height", "3 parsec"), "is a number and has no list of values"),
        (("Lamps", "Colour", "mauve"), "'mauve' is no proposal for Lamps, Colour"),
        (("Lamps", "Colour", "it's"), "is no proposal for Lamps, Colour"),
        (("Lamps", "Colour", "red"), "allows 'red' already"),
        (("Lamps", "Colour", "lilac", "--spelling", "mauve"), "'mauve' is no proposal"),
    ],
)
def test_what_cannot_be_accepted_is_refused(arguments: tuple[str, ...], said: str) -> None:
    before = FILE.read_bytes()
    code, told = run("proposals", "accept", *arguments)
    assert code == 1
    assert said in told
    assert FILE.read_bytes() == before


@pytest.mark.usefixtures("typed")
def test_a_file_that_says_other_than_the_running_system_is_refused() -> None:
    shade = Attribute(name="Shade", type=AttributeType.TEXT)
    changed = CategorySchema(category="Lamps", attributes=(*LAMP.attributes, shade))
    write_schemas(FILE, CategorySchemas([changed]))
    code, told = run("proposals", "accept", "Lamps", "Colour", "lilac")
    assert code == 1
    assert "has another schema of 'Lamps' than the running system" in told
    assert colours() == ("red", "blue")


def test_without_a_pool_there_is_nothing_to_list() -> None:
    for command in (("proposals",), ("proposals", "accept", "a", "b", "c"), ("drift",)):
        code, told = run(*command)
        assert code == 1
        assert "there is no pool yet" in told


@pytest.mark.slow
def test_drift_fits_80_columns_and_is_written_as_a_page_and_a_picture(tmp_path: Path) -> None:
    world = World(tmp_path / "pool")
    for prefix, filled in (("old", 3), ("new", 1)):
        asked = [request(f"{prefix}{number}") for number in range(3)]
        answers = [prediction(one, filled) for one in asked]
        world.feed(*chain(asked, answers, map(review, answers)))
        world.now_ms += 2 * DAY_MS
    world.pool.close()
    done = CliRunner().invoke(app, ["drift", "--out", "page"])
    assert done.exit_code == 0, done.output
    assert "completeness" in done.output
    assert "-0.500" in done.output
    assert max(map(len, done.output.splitlines())) <= 80
    page = Path("page/drift.md").read_text(encoding="utf-8")
    assert "| completeness | 0.750 | 0.250 | -0.500 |" in page
    assert Path("page/drift.png").read_bytes().startswith(b"\x89PNG")
