"""How far a round is: a bar for a person, and a small file for the worker's heartbeats."""

from pathlib import Path

from pydantic import BaseModel
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from serving.process.files import write_file

ONE_DAY_S = 86_400.0


class StageProgress(BaseModel):
    """How far the stage is that a round is in."""

    stage: str
    done: int
    total: int
    loss: float | None = None  # nats a label token, of the last step


class RoundProgress:
    """Shows and records how far a round is; use as a context manager."""

    def __init__(self, path: Path, show: bool) -> None:
        """`path` gets the `StageProgress` as JSON; `show` draws bars on stderr."""
        self._path = path
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not show,
            # Of the whole stage: a step may take longer than rich's usual half a minute, and then
            # there would never be a time left.
            speed_estimate_period=ONE_DAY_S,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "RoundProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def update(self, stage: str, done: int, total: int, loss: float | None = None) -> None:
        """`done` of `total` in `stage`."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, note="")
        note = "" if loss is None else f"loss {loss:.3f}"
        self._bars.update(self._tasks[stage], completed=done, total=total, note=note)
        now = StageProgress(stage=stage, done=done, total=total, loss=loss)
        write_file(self._path, now.model_dump_json().encode())


def read_progress(path: Path) -> StageProgress | None:
    """What is recorded at `path`, or None before there is one."""
    return StageProgress.model_validate_json(path.read_bytes()) if path.exists() else None
