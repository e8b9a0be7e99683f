"""`listune up` as a person uses it: looked at and stopped from another terminal."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.local.settings import PORTS
from infra.local.state import read_state
from tests.e2e.conftest import tiny_settings
from tests.waiting import wait_for

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The tiny model and free ports, by the environment, as a person would set them."""
    base = tiny_settings(tmp_path).local.base_model
    return {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "LISTUNE_LOCAL__BASE_MODEL": str(base),
        **{f"LISTUNE_LOCAL__{name.upper()}": "0" for name in PORTS},
    }


@pytest.fixture
def up(tmp_path: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A stack in a folder of its own, ready."""
    command = [sys.executable, "-m", "infra.cli", "up"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment)
    try:
        wait_for(lambda: process.poll() is not None or _ready(tmp_path), 180)
        assert process.poll() is None, "the stack ended"
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_stack_is_looked_at_and_stopped_from_another_terminal(
    up: subprocess.Popen[bytes], tmp_path: Path, environment: dict[str, str]
) -> None:
    family = psutil.Process(up.pid).children(recursive=True)
    status = _listune(tmp_path, environment, "status")
    assert "collecting 0/20 · judging needs 28 held-out listings, has 0" in status
    assert status.count("live, ready") == 3
    assert "base" in _listune(tmp_path, environment, "sql", "SELECT adapter_id FROM models")
    # The real model is asked for an attribute that has come into the schema file meanwhile.
    category = _add_an_attribute(tmp_path / "runs" / "local" / "schema.json", "Parcel Shape")
    asked = ("request", "--category", category, "--title", "A thing")
    assert "Parcel Shape" in _listune(tmp_path, environment, *asked)
    assert "Stopped." in _listune(tmp_path, environment, "down")
    assert up.wait(30) is not None
    assert not left(family)


def _add_an_attribute(path: Path, name: str) -> str:
    """Adds a text attribute to the first category of a schema file; the category's name."""
    content = json.loads(path.read_text())
    category = next(iter(content))
    content[category]["attributes"].append({"name": name, "type": "text"})
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(content))
    aside.replace(path)
    return category


def _ready(folder: Path) -> bool:
    state = read_state(folder / "runs" / "local")
    return state is not None and all(p["state"] == "ready" for p in state["processes"].values())


def left(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run a while later."""
    _, alive = psutil.wait_procs(family, timeout=15)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def _listune(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "infra.cli", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
