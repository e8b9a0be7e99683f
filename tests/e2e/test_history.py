"""A stack that begins from historic listings, by the two commands that a person types; its end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.catalogs.catalog import write_catalog
from infra.catalogs.generate import generate
from infra.lab.small import small_settings
from infra.local.settings import PORTS
from schemas.sources.json_schema import write_schemas
from tests.e2e.test_up import left
from tests.waiting import wait_for

REPOSITORY = Path(__file__).parents[2]
SETTINGS = """
[serving]
dtype = "float32"
threads = 1
max_trunk_tokens = 64
max_answer_tokens = 10
[streams]
k = 6
heldout_share = 0.4
heldout_least = 6
max_share_per_group = 1.0
[trainer]
rank = 8
alpha = 16
steps = 3
learning_rate = 2e-2
max_length = 1024
least_gain = -2.0
margin = 2.0
bootstrap_draws = 200
progress = false
"""
"""As `infra.lab.small`, with a round of three steps that the gate lets through."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's folder: settings, historic listings and their schema."""
    folder = tmp_path_factory.mktemp("history")
    schemas, products = generate(3, 40)
    write_schemas(folder / "schema.json", schemas)
    write_catalog(folder / "products.jsonl", products)
    (folder / "listune.toml").write_text(SETTINGS)
    return folder


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "LISTUNE_LOCAL__BASE_MODEL": str(small_settings(folder, 3).local.base_model),
        "LISTUNE_LOCAL__KAFKA_HEAP": "256m",
        **{f"LISTUNE_LOCAL__{name.upper()}": "0" for name in PORTS},
    }


@pytest.fixture(scope="module")
def listune(folder: Path, environment: dict[str, str]) -> Callable[..., str]:
    """Runs a command, and gives what it says."""

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "infra.cli", *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def up(
    folder: Path, environment: dict[str, str], listune: Callable[..., str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A stack that is up, begun from history."""
    files = ("products.jsonl", "--schema", "schema.json", "--rounds", "1")
    assert "A stack begins with history-r1-a1: listune up" in listune("bootstrap", *files)
    with (folder / "up.log").open("w") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "infra.cli", "up"], cwd=folder, env=environment, stdout=log
        )
    try:
        wait_for(lambda: up.poll() is not None or "up. Stop" in (folder / "up.log").read_text())
        assert up.poll() is None
        yield up
    finally:
        up.kill()
        up.wait()


@pytest.mark.usefixtures("up")
def test_up_begins_with_the_adapter_that_bootstrap_trained(
    folder: Path, listune: Callable[..., str]
) -> None:
    assert "It begins with history-r1-a1" in (folder / "up.log").read_text()
    # The engine has never heard of it, and is given it.
    category = next(iter(json.loads((folder / "schema.json").read_text())))
    answer = listune("request", "--category", category, "--title", "A thing")
    assert "ok by history-r1-a1" in answer
    assert "rows: 0" in listune("sql", "SELECT 'rows: ' || count(*) AS n FROM samples")


def test_no_process_is_left_when_the_supervisor_is_killed(up: subprocess.Popen[bytes]) -> None:
    """The last in this file: it ends the stack."""
    family = psutil.Process(up.pid).children(recursive=True)
    assert len(family) > 6
    up.send_signal(signal.SIGKILL)
    assert not left(family)
