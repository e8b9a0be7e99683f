"""The `listune` command: its help shows how, its errors are one sentence.

Every test works in a folder of its own and with addresses where nobody listens: the default ones
may belong to a stack that is up on this machine.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from infra.cli.app import app, main
from infra.demo import play
from infra.local.ports import free_port
from infra.settings import Mix, Settings
from schemas.events import ListingPrediction, Status
from streams.producer import ListuneClient

REPOSITORY = Path(__file__).parents[3]
GROUP: Any = typer.main.get_command(app)
COMMANDS = sorted(
    name for name in GROUP.list_commands(None) if not GROUP.get_command(None, name).hidden
)
SCHEMA = '{"Lamps": {"attributes": [{"name": "Colour", "type": "enum", "values": ["red"]}]}}'
LINE = '{"product_id": "1", "category": "Lamps", "title": "A lamp", "catalog": {"Colour": "red"}}'

Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working folder, and no server at any address."""
    for name in [name for name in os.environ if name.startswith("LISTUNE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    nobody = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("LISTUNE_STREAMS__BOOTSTRAP_SERVERS", nobody)
    monkeypatch.setenv("LISTUNE_SERVING__TRITON_URL", nobody)
    monkeypatch.setenv("LISTUNE_STREAMS__SQL_PORT", str(free_port()))


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command line that should fail, and gives its one sentence."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["listune", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        said = capsys.readouterr().err
        assert said.startswith("listune: ")
        assert said.count("\n") == 1
        return said

    return run


def test_the_help_lists_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert all(name in shown.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_shows_an_example(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"])
    assert shown.exit_code == 0
    example = shown.output.partition("Example")[2]
    assert f"listune {name}" in " ".join(example.split())


def test_a_catalog_wants_its_schema(refused: Refused) -> None:
    assert "give --catalog and --schema together" in refused("demo", "--catalog", "x.jsonl")
    assert not Path("runs").exists()


def test_a_wrong_line_of_a_catalog_is_named(refused: Refused) -> None:
    Path("schema.json").write_text(SCHEMA)
    Path("products.jsonl").write_text(LINE + "\n" + '{"product_id": 2\n')
    given = ("demo", "--catalog", "products.jsonl", "--schema", "schema.json")
    assert "products.jsonl, line 2: not JSON" in refused(*given, "--strict")
    assert "products.jsonl: 1 of 2 lines are no product (the first: line 2" in refused(*given)
    (left_out,) = Path("products.jsonl.rejected.jsonl").read_text().splitlines()
    assert json.loads(left_out)["line"] == 2


def test_a_catalog_that_is_too_small_says_so(refused: Refused) -> None:
    Path("schema.json").write_text(SCHEMA)
    Path("products.jsonl").write_text(LINE + "\n")
    said = refused("demo", "--catalog", "products.jsonl", "--schema", "schema.json")
    assert "products.jsonl: has " in said
    assert "give a larger catalog, or a smaller LISTUNE_STREAMS__K" in said
    assert not Path("runs").exists()


def test_a_fault_in_a_schema_names_category_and_attribute(refused: Refused) -> None:
    Path("schema.json").write_text(SCHEMA.replace('"enum"', '"colour"'))
    Path("products.jsonl").write_text(LINE + "\n")
    said = refused("demo", "--catalog", "products.jsonl", "--schema", "schema.json")
    assert "schema.json: category 'Lamps', attribute 'Colour'" in said


@pytest.mark.usefixtures("kafka_jars", "triton_home", "base_model")
def test_a_stack_wants_the_schema_that_its_settings_name(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTUNE_STREAMS__SCHEMA_PATH", "gone.json")
    assert "gone.json, which is no file" in refused("up")


@pytest.mark.parametrize(
    ("options", "pictures"), [([], True), (["--no-pictures"], False), (["--pictures"], True)]
)
def test_the_demo_is_told_whether_to_look_at_pictures(
    options: list[str], pictures: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Settings] = []
    monkeypatch.setattr(play, "run", lambda settings, _: told.append(settings))
    shown = CliRunner().invoke(app, ["demo", *options])
    assert (shown.exit_code, [settings.demo.pictures for settings in told]) == (0, [pictures])


def test_the_demos_sellers_may_send_what_the_papers_did(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Settings] = []
    monkeypatch.setattr(play, "run", lambda settings, _: told.append(settings))
    for options in ([], ["--mix", "paper"]):
        assert CliRunner().invoke(app, ["demo", *options]).exit_code == 0
    assert [settings.demo.mix for settings in told] == [Mix.CATALOG, Mix.PAPER]


def test_a_wrong_setting_is_one_sentence(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTUNE_PROFILE", "huge")
    assert "LISTUNE_PROFILE is one of laptop, paper" in refused("fetch")


@pytest.mark.parametrize("command", [["sql", "FROM pool"], ["models"]])
def test_without_a_stack_there_is_nobody_to_ask(refused: Refused, command: list[str]) -> None:
    assert "start the stack with `listune up`" in refused(*command)


def test_a_statement_that_writes_is_refused_before_anybody_is_asked(refused: Refused) -> None:
    assert "send one SELECT" in refused("sql", "DROP VIEW samples")


def test_a_request_wants_the_schema_of_its_category(refused: Refused) -> None:
    assert "schema.json: No such file" in refused("request", "--category", "Lamps", "--title", "x")


def test_a_request_names_pictures_and_shows_why_one_was_not_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, Any] = {}

    def predict(_: ListuneClient, **listing: Any) -> ListingPrediction:
        asked.update(listing)
        return a_prediction(notes=["The picture b.jpg is not got: it is no file."])

    monkeypatch.setattr(ListuneClient, "predict", predict)
    Path("schema.json").write_text(SCHEMA)
    monkeypatch.setenv("LISTUNE_STREAMS__SCHEMA_PATH", "schema.json")
    pictures = ["--image", "a.jpg", "--image", "b.jpg"]
    shown = CliRunner().invoke(app, ["request", "--category", "Lamps", *pictures])
    assert (shown.exit_code, asked["images"], asked["title"]) == (0, ["a.jpg", "b.jpg"], "")
    assert "The picture b.jpg is not got: it is no file.\n" in shown.output


def a_prediction(**fields: Any) -> ListingPrediction:
    return ListingPrediction(
        prediction_id="p",
        request_id="r",
        listing_id="l",
        category="Lamps",
        category_schema_hash="h",
        input_hash="i",
        status=Status.OK,
        **fields,
    )


def test_a_review_wants_a_kept_prediction_and_a_legal_value(refused: Refused) -> None:
    assert "make it with `listune request --out`" in refused("review", "gone.json")
    Path("schema.json").write_text(SCHEMA)
    Path("lamp.json").write_bytes(a_prediction().to_bytes())
    assert "a known attribute" in refused("review", "lamp.json", "--set", "Size=5")
    assert "'blue' is not an allowed value" in refused(
        "review", "lamp.json", "--set", "Colour=blue"
    )


def test_status_and_down_say_that_nothing_is_up() -> None:
    shown = CliRunner().invoke(app, ["status"])
    assert (shown.exit_code, shown.output) == (1, "Nothing is up; start it with `listune up`.\n")
    shown = CliRunner().invoke(app, ["down"])
    assert (shown.exit_code, shown.output) == (0, "Nothing is up.\n")


@pytest.mark.slow
def test_a_process_of_its_own_shows_no_traceback_unless_asked() -> None:
    command = [sys.executable, "-m", "infra.cli", "demo", "--catalog", "x.jsonl"]
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "listune: give --catalog and --schema together, or neither\n"
    asked = env | {"LISTUNE_TRACEBACK": "1"}
    ran = subprocess.run(command, env=asked, capture_output=True, text=True, check=False)
    assert "Traceback" in ran.stderr


def test_a_name_with_brackets_stands_in_the_sentence_as_it_is(refused: Refused) -> None:
    Path("schema.json").write_text(SCHEMA)
    Path("products.jsonl").write_text(LINE.replace("Lamps", "[/red] Lamps"))
    assert "'[/red] Lamps'" in refused("bootstrap", "products.jsonl", "--schema", "schema.json")


@pytest.mark.parametrize("command", ["check", "bootstrap"])
def test_a_folder_in_the_place_of_a_catalog(refused: Refused, command: str) -> None:
    Path("schema.json").write_text(SCHEMA)
    assert "give the path of a JSONL file" in refused(command, ".", "--schema", "schema.json")


def test_a_folder_to_write_to_that_is_a_file(refused: Refused) -> None:
    Path("schema.json").write_text(SCHEMA)
    Path("products.jsonl").write_text(LINE)
    said = refused("check", "products.jsonl", "--schema", "schema.json", "--out", "schema.json")
    assert "schema.json: File exists; give another path" in said
    said = refused("import", "products.jsonl", "--out", "schema.json/products.jsonl")
    assert "schema.json" in said
    assert "give another path" in said
