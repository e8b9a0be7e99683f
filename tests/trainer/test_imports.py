"""A round runs in a GPU image, which has neither Kafka nor Triton clients, Faust or DuckDB."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
ABSENT = ("confluent_kafka", "aiokafka", "faust", "duckdb", "tritonclient")


def imported(module: str, *absent: str) -> str:
    """Import `module` where `absent` packages are missing; gives what was imported, by name."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"
        f"import {module}\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout


def test_a_round_needs_neither_kafka_nor_triton_nor_duckdb() -> None:
    imported("trainer.round", *ABSENT)


def test_the_worker_never_loads_torch() -> None:
    assert "torch" not in imported("trainer.worker").split()
