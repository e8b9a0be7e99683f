"""Runs one arm in a process of its own and follows its progress."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infra.lab.bench.serving.work import Job
from infra.lab.bench.stream.jobs import LoopJob, PoolJob
from infra.lab.bench.training.arm import TrainingJob

REPOSITORY = Path(__file__).parents[3]
Progress = Callable[[int, int, str], None]
"""Called with how many are done, of how many, and what is being done."""

REASON_LENGTH = 240
MODULES: dict[type, str] = {
    Job: "infra.lab.bench.arm",
    TrainingJob: "infra.lab.bench.training_arm",
    LoopJob: "infra.lab.bench.stream_loops",
    PoolJob: "infra.lab.bench.stream_pool",
}
"""What carries a job out, in a process of its own."""


def run_job(
    job: Job | TrainingJob | LoopJob | PoolJob, progress: Progress, python: str = sys.executable
) -> dict[str, Any]:
    """What an arm's process found out about `job`, or `{"not_run": reason}` where it failed.

    python: the interpreter of the environment that the arm lives in.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(asdict(job)))
        files = [str(folder / "job.json"), str(folder / "result.json")]
        return _run(MODULES[type(job)], files, folder, progress, python)


def run_module(module: str, base: Path) -> Any:
    """What `python -m module BASE RESULT` wrote to RESULT.

    Raises:
        RuntimeError: it failed; with the last line that it said.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [str(base), str(folder / "result.json")]
        outcome = _run(module, files, folder, lambda *_: None, sys.executable)
    if isinstance(outcome, dict) and "not_run" in outcome:
        raise RuntimeError(f"{module}: {outcome['not_run']}")
    return outcome


def _run(module: str, files: list[str], folder: Path, progress: Progress, python: str) -> Any:
    command = [python, "-m", module, *files]
    # Threads that wait by spinning would take a core from whoever else measures or works here.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ
    said = folder / "stderr.log"
    with (
        said.open("w") as errors,
        subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=errors, text=True,
            env=environment,
        ) as process,
    ):  # fmt: skip
        try:
            _follow(process, progress)
        except BaseException:
            process.kill()
            raise
    result = folder / "result.json"
    if process.returncode or not result.is_file():
        return {"not_run": _last_line(said, process.returncode)}
    return json.loads(result.read_text())


def _follow(process: subprocess.Popen[str], progress: Progress) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        try:
            told = json.loads(line)
            progress(told["done"], told["of"], told["what"])
        except (ValueError, KeyError, TypeError):
            continue  # a library's own words


def _last_line(said: Path, code: int) -> str:
    lines = [line.strip() for line in said.read_text(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "it said nothing")
    return f"it failed (exit code {code}): {last[:REASON_LENGTH]}"
