"""One stage in a process of its own: `python -m infra.lab.gpu_check.stage NAME PLACE`.

Each row is printed as a line of JSON as soon as it is measured. From outside: `rows_of` starts the
process, hands on its rows, and ends it and its children when its time is over.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from infra.lab.bench.results import ArmResult
from infra.lab.gpu_check.place import Place
from infra.machine import REPOSITORY

ROW = "row"
REASON_LENGTH = 240


@dataclass(frozen=True)
class Stage:
    """`function` of a module of this room yields the rows; it has `limit_s` seconds."""

    name: str
    module: str
    function: str
    limit_s: float


STAGES = (
    Stage("environment", "environment", "measure", 60),
    Stage("base", "environment", "bring_base", 90),
    Stage("exactness", "exactness", "measure", 80),
    Stage("serving", "serving", "real", 120),
    Stage("kernels", "exactness", "kernels", 50),
    Stage("losses", "losses", "measure", 40),
    Stage("training", "training", "ours", 50),
    Stage("beside", "training", "beside", 80),
    Stage("large", "serving", "random", 120),
    Stage("together", "losses", "together", 50),
)
"""In the order of what is wanted most, should time run out."""

Rows = Callable[[Stage, Place, float], Iterator[ArmResult]]
"""The rows of a stage that has so many seconds; one that fails is a row that says so."""


def rows_of(stage: Stage, place: Place, limit_s: float) -> Iterator[ArmResult]:
    """The rows of `stage`, from a process of its own."""
    told, errors = place.made(f"{stage.name}.json"), place.made(f"{stage.name}.log")
    place.write(told)
    command = [sys.executable, "-m", __name__, stage.name, str(told)]
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=stderr, text=True,
            start_new_session=True,
        ) as process,
    ):  # fmt: skip
        over = threading.Event()

        def end() -> None:
            over.set()
            # A group of its own: with the process go those that it started.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit_s, end)
        timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                row = read_row(line)
                if row is not None:
                    yield row
            code = process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                end()
    if over.is_set():
        yield ArmResult(stage.name, not_run=f"it was not done after its {limit_s:.0f} s")
    elif code:
        yield ArmResult(stage.name, not_run=_last_line(errors, code))


def rows_here(stage: Stage, place: Place, limit_s: float) -> Iterator[ArmResult]:
    """The rows of `stage`, in this process and without a limit: for a rehearsal."""
    yield from _begun(stage, place)


def _begun(stage: Stage, place: Place) -> Iterator[ArmResult]:
    """The rows as the stage's function gives them; a tiny model needs no second thread."""
    if place.size == "rehearsal":
        import torch

        torch.set_num_threads(1)
    return _function(stage)(place)


def _function(stage: Stage) -> Callable[[Place], Iterator[ArmResult]]:
    module = import_module(f"infra.lab.gpu_check.{stage.module}")
    function: Callable[[Place], Iterator[ArmResult]] = getattr(module, stage.function)
    return function


def read_row(line: str) -> ArmResult | None:
    """The row in a line; None in a library's own words."""
    try:
        content: dict[str, Any] = json.loads(line)
        return ArmResult(**content[ROW])
    except (ValueError, KeyError, TypeError):
        return None


def _last_line(said: Path, code: int) -> str:
    lines = [line.strip() for line in said.read_text(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "it said nothing")
    return f"it failed (exit code {code}): {last[:REASON_LENGTH]}"


def main() -> None:
    """Run the stage that is named and print its rows."""
    [stage] = (stage for stage in STAGES if stage.name == sys.argv[1])
    for row in _begun(stage, Place.read(Path(sys.argv[2]))):
        print(json.dumps({ROW: asdict(row)}), flush=True)


if __name__ == "__main__":
    main()
