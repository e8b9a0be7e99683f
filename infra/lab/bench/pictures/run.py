"""The benchmark of checking pictures: milliseconds and memory by kind of file.

Each file is checked in a process of its own, with the default limits, down to the default edge. The
goals are on the CPU's time, which neighbours on the machine do not stretch: checking is one thread.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from infra.lab.bench.chart import draw_bars
from infra.lab.bench.pictures.arm import CheckJob, carry_out
from infra.lab.bench.pictures.files import WARMING, File, bombs, harmless, pictures
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, BenchResult, Goal, begin
from infra.lab.bench.runner import run_job
from infra.progress import bar
from serving.pictures.settings import LookingSettings
from serving.settings import ServingSettings

TIMES = 9
SEEN, REFUSED = "seen", "refused"
"""What should become of a file: the `kind` of its row."""
MOST_MS, MOST_MB = 50.0, 64.0


def run(console: Console, quick: bool = False) -> Path:
    """Measure, print, and write the result file, its summary and its picture; the file's path.

    quick: small pictures, two tries each, and the result is kept aside.
    """
    return publish(measured(console, quick), bench_folder(quick), draw, console)


def draw(result: BenchResult, path: Path) -> Path:
    """Draw time and memory of each file into `path`."""
    return draw_bars(result, ("cpu_p50_ms", "memory_mb"), path)


def measured(console: Console, quick: bool) -> Iterator[BenchResult]:
    """The result so far, after the bombs and after the others."""
    begun = begin("pictures")
    limits = LookingSettings()
    begun.constants.update(
        picture_edge_px=ServingSettings().picture_edge,
        max_bytes=limits.max_bytes,
        max_pixels=limits.max_pixels,
    )
    files: Mapping[str, Mapping[str, File]] = {
        REFUSED: bombs(),
        SEEN: pictures(scale=10 if quick else 1),
    }
    with tempfile.TemporaryDirectory() as name, bar(console) as shown:
        folder = Path(name)
        warming = [_written(folder / form, harmless(form)) for form in WARMING]
        total = sum(map(len, files.values()))
        task = shown.add_task("checking", total=total)
        for kind, of_kind in files.items():
            for named, make in of_kind.items():
                shown.update(task, description=named)
                file = _written(folder / "file", make())
                edge = ServingSettings().picture_edge
                job = CheckJob(file, tuple(warming), edge, 2 if quick else TIMES)
                begun.rows.append(row_of(named, kind, run_job(carry_out, job)))
                begun.goals[:] = goals(begun.rows)
                shown.advance(task)
            yield begun


def row_of(name: str, kind: str, outcome: dict[str, Any]) -> ArmResult:
    """The row of a file whose process measured `outcome`."""
    if reason := outcome.get("not_run"):
        return ArmResult(name, {"kind": kind}, not_run=reason)
    figures = {
        "file_kb": outcome["file_bytes"] / 1e3,
        "check_p50_ms": median(outcome["clock_ms"]),
        "check_most_ms": max(outcome["clock_ms"]),
        "cpu_p50_ms": median(outcome["cpu_ms"]),
        "memory_mb": outcome["memory_mb"],
        "seen_kb": outcome["seen_bytes"] / 1e3,
    }
    raw = {name: outcome[name] for name in ("clock_ms", "cpu_ms")}
    return ArmResult(name, {"kind": kind}, figures, raw, note=outcome["refused"])


def goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """What refusing a bomb may cost, and that nothing that should be seen is refused, or the other
    way round."""
    refused = [row for row in rows if row.settings["kind"] == REFUSED and not row.not_run]
    ran = [row for row in rows if not row.not_run]
    otherwise = sum(bool(row.note) != (row.settings["kind"] == REFUSED) for row in ran)
    none = "no bomb was measured"
    return [
        Goal(
            "CPU ms to the slowest refusal of a bomb",
            MOST_MS,
            _most(refused, "cpu_p50_ms"),
            False,
            none,
        ),
        Goal(
            "MB of the dearest refusal of a bomb", MOST_MB, _most(refused, "memory_mb"), False, none
        ),
        Goal(
            "files judged otherwise than they should be",
            0,
            otherwise if ran else None,
            False,
            "nothing was measured",
        ),
    ]


def _most(rows: Sequence[ArmResult], figure: str) -> float | None:
    return max((row.figures[figure] or 0.0 for row in rows), default=None)


def _written(file: Path, data: bytes) -> str:
    file.write_bytes(data)
    return str(file)
