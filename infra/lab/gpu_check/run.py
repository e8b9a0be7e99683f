"""The stages in order, each with its time, and the result file after every row."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from infra.lab.bench.chart import draw_bars
from infra.lab.bench.publish import tables, write
from infra.lab.bench.results import ArmResult, BenchResult, begin
from infra.lab.gpu_check.goals import goals
from infra.lab.gpu_check.place import REFERENCE, Place
from infra.lab.gpu_check.reference import Reference
from infra.lab.gpu_check.stage import STAGES, Rows, Stage, rows_of

LEAST_S = 10.0
"""A stage that has less than this is not begun: it would only load."""


def check(
    place: Place,
    out: Path,
    console: Console,
    deadline_s: float,
    stages: Sequence[Stage] = STAGES,
    rows: Rows = rows_of,
) -> Path:
    """Run `stages`, print, and write the result file and its summary to `out`; the file's path.

    All is over `deadline_s` seconds from now; what was not reached is a row that says so.
    """
    for result in measured(place, deadline_s, stages, rows):
        path = write(result, out)
        last = result.rows[-1]
        console.print(f"{last.name}: {last.not_run or 'measured'}", highlight=False)
    draw(result, path.with_suffix(".png"))
    console.print(tables(result)[-1])  # the goals; the summary in the folder has all
    console.print(f"Result: {path}", highlight=False, soft_wrap=True)
    return path


def draw(result: BenchResult, path: Path) -> Path:
    """The picture of what was served."""
    served = [row for row in result.rows if row.settings.get("stage") == "serving"]
    return draw_bars(replace(result, rows=served), ("p50_s", "listings_per_s"), path)


def measured(
    place: Place, deadline_s: float, stages: Sequence[Stage], rows: Rows
) -> Iterator[BenchResult]:
    """The result so far, after each row."""
    reference = Reference.read(place.part(REFERENCE))
    begun = begin("gpu")
    if begun.commit == "unknown":  # a working tree that travelled without its history
        begun = replace(begun, commit=reference.commit)
    constants = {"reference_commit": reference.commit, "reference_torch": reference.torch}
    ends = time.perf_counter() + deadline_s
    kept: list[ArmResult] = []
    for stage in stages:
        left = ends - time.perf_counter()
        for row in rows(stage, place, min(stage.limit_s, left)) if left > LEAST_S else _late(stage):
            kept.append(row)
            yield replace(
                begun, rows=list(kept), goals=goals(kept, place.sizes), constants={**constants}
            )


def _late(stage: Stage) -> list[ArmResult]:
    return [ArmResult(stage.name, not_run="the check's time was over before it began")]
