"""`listune evaluate`: a table on the terminal, and files in a folder."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from tests.builders import make_rows, write_heldout
from trainer.errors import RegistryError


@pytest.fixture
def heldout(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Held-out listings in an empty working folder, and a tiny base model set."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "SERVING__BASE_MODEL": tiny_base,
        "SERVING__DTYPE": "float32",
        "SERVING__DEVICE": "cpu",
        "TRAINER__PROGRESS": "false",
        "EVALUATION__PRICES__MACHINE_HOUR": "2.5",
    }.items():
        monkeypatch.setenv(f"LISTUNE_{name}", str(value))
    return write_heldout(make_rows(4, seed=9), tmp_path / "heldout.jsonl")


def test_the_base_is_judged_and_priced(heldout: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "--heldout", str(heldout)])
    assert done.exit_code == 0, done.output
    made = Path("runs/evaluate")
    (row,) = json.loads((made / "comparison.json").read_text())["rows"]
    assert (row["arm"], row["listings"]) == ("base", 4)
    assert row["cost_per_thousand"] > 0
    assert (made / "reliability.png").is_file()
    assert "runs/evaluate" in done.output


def test_an_adapter_that_is_not_there_is_said_to_be(heldout: Path) -> None:
    arguments = ["evaluate", "--heldout", str(heldout), "--adapter", "default-r9-a1"]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, RegistryError)
    assert "listune models" in str(done.exception)
