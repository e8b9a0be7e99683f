"""A stack that begins from historic listings, by the two commands that a person types."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from infra.catalogs.catalog import write_catalog
from infra.catalogs.generate import generate
from infra.lab.small import small_settings
from infra.local.settings import PORTS
from schemas.sources.json_schema import write_schemas
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


def test_up_begins_with_the_adapter_that_bootstrap_trained(tmp_path: Path) -> None:
    schemas, products = generate(3, 40)
    write_schemas(tmp_path / "schema.json", schemas)
    write_catalog(tmp_path / "products.jsonl", products)
    (tmp_path / "listune.toml").write_text(SETTINGS)
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "LISTUNE_LOCAL__BASE_MODEL": str(small_settings(tmp_path, 3).local.base_model),
        "LISTUNE_LOCAL__KAFKA_HEAP": "256m",
        **{f"LISTUNE_LOCAL__{name.upper()}": "0" for name in PORTS},
    }

    def listune(*arguments: str) -> str:
        command = [sys.executable, "-m", "infra.cli", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    files = ("products.jsonl", "--schema", "schema.json", "--rounds", "1")
    assert "A stack begins with history-r1-a1: listune up" in listune("bootstrap", *files)
    with (tmp_path / "up.log").open("w") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "infra.cli", "up"], cwd=tmp_path, env=environment, stdout=log
        )
    try:
        wait_for(lambda: up.poll() is not None or "up. Stop" in (tmp_path / "up.log").read_text())
        assert up.poll() is None
        assert "It begins with history-r1-a1" in (tmp_path / "up.log").read_text()
        # The engine has never heard of it, and is given it.
        answer = listune("request", "--category", next(iter(schemas)), "--title", "A thing")
        assert "ok by history-r1-a1" in answer
        assert "rows: 0" in listune("sql", "SELECT 'rows: ' || count(*) AS n FROM samples")
        up.send_signal(signal.SIGTERM)
        up.wait(60)
    finally:
        up.kill()
        up.wait()
