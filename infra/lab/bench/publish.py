"""Where a result goes: a JSON file, a page and a picture in a folder, and tables on a terminal."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.lab.bench.results import RESULTS, ArmResult, BenchResult, Goal
from infra.settings import RUNS

TOLD_BY_NAME = ("arm", "set", "batches", "prompting", "asked_dtype")
"""Settings that a row's name says already; tables leave them out, the file has them."""


def bench_folder(quick: bool) -> Path:
    """Where a benchmark's result is kept: with the commit, or aside where it was only a try."""
    return (RUNS if quick else RESULTS) / "bench"


def publish(
    results: Iterable[BenchResult],
    folder: Path,
    draw: Callable[[BenchResult, Path], object],
    console: Console,
) -> Path:
    """Keep each of `results` in `folder` as it comes, and show the last; the result file's path.

    A benchmark yields its result so far after each row: whoever stops a long run keeps what was
    measured. `draw` makes the picture in the file that it is given.
    """
    for result in results:
        path = write(result, folder)
        draw(result, path.with_suffix(".png"))
    for table in tables(result):
        console.print(table)
    console.print(f"Result: [bold]{path.with_suffix('.md')}[/]", highlight=False, soft_wrap=True)
    return path


def write(result: BenchResult, folder: Path) -> Path:
    """Write the result file and its summary in Markdown to `folder`; the result file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.stem}.json"
    path.write_text(result.to_json(), encoding="utf-8")
    path.with_suffix(".md").write_text(markdown(result), encoding="utf-8")
    return path


def tables(result: BenchResult) -> list[Table]:
    """The result as it is shown on a terminal."""
    shown = []
    for title, header, lines in _grids(result):
        table = Table(*header, title=title, title_justify="left")
        for line in lines:
            table.add_row(*line)
        shown.append(table)
    return shown


def markdown(result: BenchResult) -> str:
    """The result as a page; the picture beside it has the same stem."""
    parts = [
        f"# Benchmark `{result.benchmark}`, {result.date}, commit {result.commit}",
        f"`{result.command}` on "
        + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in result.machine.items()),
        f"![{result.benchmark}]({result.stem}.png)",
    ]
    for title, header, lines in _grids(result):
        grid = [header, ["---"] * len(header), *lines]
        cells = ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in grid]
        parts += [f"## {title}", "\n".join(cells)]
    if result.constants:
        parts.append("\n".join(f"- {k}: {cell(v)}" for k, v in result.constants.items()))
    return "\n\n".join(parts) + "\n"


Grid = tuple[str, list[str], list[list[str]]]


def _grids(result: BenchResult) -> list[Grid]:
    """(title, header, lines) of every table that has lines."""
    grids = []
    for title, rows in (("Arms", result.rows), ("Trials for the best set-up", result.trials)):
        if rows:
            common = _common(rows)
            grids += [_arms(title, rows, common), *_details(rows, common)]
    if result.goals:
        lines = [[goal.name, goal.goal, cell(goal.measured), _met(goal)] for goal in result.goals]
        grids.append(("Goals", ["goal", "wanted", "measured", "met"], lines))
    return grids


def _common(rows: Sequence[ArmResult]) -> list[str]:
    """The figures to compare by: those that at least half of the rows have."""
    measured = [figures for row in rows if (figures := _figures(row))]
    had = Counter(name for figures in measured for name in figures)
    return [name for name, count in had.items() if 2 * count >= len(measured)]


def _figures(row: ArmResult) -> list[str]:
    return [name for name in row.figures if row.figure(name) is not None]


def _arms(title: str, rows: Sequence[ArmResult], figures: Sequence[str]) -> Grid:
    """One line a row, one column a figure."""
    notes = any(row.not_run or row.note for row in rows)
    lines = []
    for row in rows:
        told = {name: value for name, value in row.settings.items() if name not in TOLD_BY_NAME}
        line = [row.name, ", ".join(f"{name} {cell(value)}" for name, value in told.items())]
        line += [cell(row.figures.get(name)) for name in figures]
        said = f"not run: {row.not_run}" if row.not_run else row.note
        lines.append([*line, said] if notes else line)
    return title, ["arm", "set-up", *figures, *(["note"] if notes else [])], lines


def _details(rows: Sequence[ArmResult], common: Sequence[str]) -> list[Grid]:
    """What few rows have, one line a figure; rows that have the same stand side by side."""
    alike: dict[tuple[str, ...], list[ArmResult]] = {}
    for row in rows:
        own = tuple(name for name in _figures(row) if name not in common)
        if own:
            alike.setdefault(own, []).append(row)
    return [
        (
            "More figures",
            ["figure", *(row.name for row in group)],
            [[name, *(cell(row.figure(name)) for row in group)] for name in names],
        )
        for names, group in alike.items()
    ]


def _met(goal: Goal) -> str:
    return {True: "yes", False: "no", None: f"not measured: {goal.reason}"}[goal.met]


def cell(value: Any) -> str:
    """A value as it stands in a table: three significant digits are what a timing can carry."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if abs(value) >= 1000:
            return f"{value:,.0f}"
        case float():
            return f"{value:.3g}"
        case int():
            return f"{value:,}"
    return str(value)
