"""The form of a benchmark's result: rows of figures, goals, and who measured what where.

One form for all benchmarks. A figure's name ends in its unit (`p50_s`, `peak_memory_mb`,
`listings_per_s`) unless it is a plain count or a share. What was not measured is None, and says
why: a row by `not_run`, a goal by `reason`. A goal that was missed stays in the file as missed.
"""

import json
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from rich.table import Table

from infra import machine

RESULTS = machine.REPOSITORY / "docs" / "results"
"""Where results are kept with the commit: a folder for each of bench, chaos, demo, experiment."""
TOLD_BY_NAME = ("arm", "set", "batches", "prompting", "asked_dtype")
"""Settings that a row's name says already; tables leave them out, the file has them."""
Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Row:
    """One arm: how it was set up, its figures, and every single measurement behind them.

    `figures` are shown in tables; `raw` holds lists (seconds of each listing) for whoever wants to
    compute others. `not_run` is empty where the arm ran, else the reason in a sentence.
    """

    name: str
    settings: dict[str, Scalar] = field(default_factory=dict)
    figures: dict[str, float | int | None] = field(default_factory=dict)
    raw: dict[str, list[float]] = field(default_factory=dict)
    not_run: str = ""
    note: str = ""

    def figure(self, name: str) -> float | None:
        """The figure `name`, None where it was not measured."""
        return self.figures.get(name)


@dataclass(frozen=True)
class Goal:
    """What the benchmark should show: `measured` at least (or at most) `wanted`.

    `measured` is None where it could not be measured, with the `reason`.
    """

    name: str
    wanted: float
    measured: float | None
    at_least: bool = True
    reason: str = ""

    @property
    def goal(self) -> str:
        """What is wanted, in words."""
        return f"at {'least' if self.at_least else 'most'} {self.wanted:g}"

    @property
    def met(self) -> bool | None:
        """Whether it is reached; None where it was not measured."""
        if self.measured is None:
            return None
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted


@dataclass(frozen=True)
class BenchResult:
    """A benchmark's result.

    `constants` are figures of the machine and the model that belong to no arm (a matrix rate, the
    number of parameters); `trials` the short runs by which an arm's best set-up was found.
    """

    benchmark: str
    date: str
    commit: str
    command: str
    machine: dict[str, Scalar]
    rows: list[Row]
    goals: list[Goal] = field(default_factory=list)
    trials: list[Row] = field(default_factory=list)
    constants: dict[str, Scalar] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The name of the result's files without their endings."""
        return f"{self.benchmark}-{self.date}-{self.commit.replace('+', '-changed')}"

    def to_json(self) -> str:
        """The content of the result file."""
        content = asdict(self)
        for entry, goal in zip(content["goals"], self.goals, strict=True):
            # Goals are made with the reason at hand, before it is seen whether it is needed.
            reason = goal.reason if goal.met is None else ""
            entry |= {"goal": goal.goal, "met": goal.met, "reason": reason}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "BenchResult":
        """The result in a file's content.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        content = json.loads(text)
        for name in ("rows", "trials"):
            content[name] = [Row(**entry) for entry in content[name]]
        content["goals"] = [
            Goal(**{key: value for key, value in entry.items() if key not in ("goal", "met")})
            for entry in content["goals"]
        ]
        return cls(**content)


def begin(benchmark: str) -> BenchResult:
    """An empty result of today, this commit, this command line and this machine.

    Made before the first measurement: somebody may commit while a benchmark runs.
    """
    arguments = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return BenchResult(
        benchmark=benchmark,
        date=date.today().isoformat(),
        commit=machine.commit(),
        command=shlex.join(["listune", *arguments[1:]]),
        machine=machine.facts(),
        rows=[],
    )


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


def _common(rows: Sequence[Row]) -> list[str]:
    """The figures to compare by: those that at least half of the rows have."""
    measured = [figures for row in rows if (figures := _figures(row))]
    had = Counter(name for figures in measured for name in figures)
    return [name for name, count in had.items() if 2 * count >= len(measured)]


def _figures(row: Row) -> list[str]:
    return [name for name in row.figures if row.figure(name) is not None]


def _arms(title: str, rows: Sequence[Row], figures: Sequence[str]) -> Grid:
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


def _details(rows: Sequence[Row], common: Sequence[str]) -> list[Grid]:
    """What few rows have, one line a figure; rows that have the same stand side by side."""
    alike: dict[tuple[str, ...], list[Row]] = {}
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
