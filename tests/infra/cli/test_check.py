"""`listune check`: from two files to a verdict and an exit status."""

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app

SCHEMA = '{"Mugs": {"attributes": [{"name": "Colour", "type": "enum", "values": ["red"]}]}}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a schema, for two rounds of a few products, and no base model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LISTUNE_LOCAL__CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("LISTUNE_STREAMS__K", "4")
    monkeypatch.setenv("LISTUNE_STREAMS__HELDOUT_LEAST", "4")
    Path("schema.json").write_text(SCHEMA)
    return tmp_path


def write(count: int, colour: str, *more: str) -> None:
    lines = [
        json.dumps(
            {
                "product_id": str(n),
                "category": "Mugs",
                "title": hashlib.sha256(str(n).encode()).hexdigest()[:20],
                "catalog": {"Colour": colour},
            }
        )
        for n in range(count)
    ]
    Path("products.jsonl").write_text("\n".join([*lines, *more]) + "\n")


def run(*options: str) -> tuple[int, str]:
    ran = CliRunner().invoke(app, ["check", "products.jsonl", "--schema", "schema.json", *options])
    return ran.exit_code, ran.output.strip()


@pytest.mark.usefixtures("folder")
def test_a_catalog_that_can_teach_ends_with_ready() -> None:
    write(60, "red")
    code, said = run()
    assert code == 0
    assert said.endswith("ready")
    assert not Path("products.jsonl.rejected.jsonl").exists()


@pytest.mark.usefixtures("folder")
def test_the_exit_status_says_whether_too_many_lines_are_wrong() -> None:
    write(60, "red", "{")
    assert run()[0] == 0
    code, said = run("--most-rejected", "0")
    assert code == 1
    assert "mend first: 1 of 61 lines are no product" in " ".join(said.split())
    assert json.loads(Path("products.jsonl.rejected.jsonl").read_text())["line"] == 61


@pytest.mark.usefixtures("folder")
def test_a_catalog_without_a_legal_value_fails_and_says_which_values() -> None:
    write(60, "mauve")
    code, said = run("--out", "check")
    assert code == 1
    assert "none of the 60 products has a value that the schema takes" in " ".join(said.split())
    report = json.loads(Path("check/report.json").read_text())
    assert report["attributes"][0]["refused"] == 60
    assert "mauve" in Path("check/report.html").read_text()
