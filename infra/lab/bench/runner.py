"""Runs one arm in a process of its own (`job`) and follows its progress."""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rich.progress import Progress

from infra.lab.bench.job import JOB, RESULT
from infra.machine import REPOSITORY

REASON_LENGTH = 240
ENTRY = "from infra.lab.bench.job import main; main()"

JobT = TypeVar("JobT")
Follow = Callable[[int, int, str], None]
"""Called with how many are done, of how many, and what is being done."""


def run_shown(
    shown: Progress,
    label: str,
    work: Callable[[JobT], Any],
    job: JobT,
    python: str = sys.executable,
) -> Any:
    """`run_job`, with a line in the progress display while it runs."""
    task = shown.add_task(f"{label}: loading", total=None)

    def follow(done: int, of: int, what: str) -> None:
        shown.update(task, completed=done, total=of, description=f"{label}: {what}")

    try:
        return run_job(work, job, follow, python)
    finally:
        shown.remove_task(task)


def run_job(
    work: Callable[[JobT], Any],
    job: JobT,
    follow: Follow = lambda *_: None,
    python: str = sys.executable,
) -> Any:
    """What `work(job)` returned in a process of its own, or `{"not_run": reason}` if it failed.

    Args:
        work: a function of a module; what it returns must fit into JSON.
        python: the interpreter of the environment that the arm lives in.
    """
    # Threads that wait by spinning would take a core from whoever else measures or works here.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ
    with tempfile.TemporaryDirectory() as name:
        folder, errors = Path(name), Path(name) / "stderr.log"
        (folder / JOB).write_bytes(pickle.dumps((work, job)))
        with (
            errors.open("w") as stderr,
            subprocess.Popen(
                [python, "-c", ENTRY, name], cwd=REPOSITORY, stdout=subprocess.PIPE,
                stderr=stderr, text=True, env=environment,
            ) as process,
        ):  # fmt: skip
            try:
                _follow(process, follow)
            except BaseException:
                process.kill()
                raise
        result = folder / RESULT
        if process.returncode or not result.is_file():
            return {"not_run": _last_line(errors, process.returncode)}
        return json.loads(result.read_text())


def _follow(process: subprocess.Popen[str], follow: Follow) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        try:
            told = json.loads(line)
            follow(told["done"], told["of"], told["what"])
        except (ValueError, KeyError, TypeError):
            continue  # a library's own words


def _last_line(said: Path, code: int) -> str:
    lines = [line.strip() for line in said.read_text(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "it said nothing")
    return f"it failed (exit code {code}): {last[:REASON_LENGTH]}"
