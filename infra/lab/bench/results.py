"""The form of a benchmark's result: rows of figures, goals, and who measured what where.

One form for all benchmarks. A figure's name ends in its unit (`p50_s`, `peak_memory_mb`,
`listings_per_s`) unless it is a plain count or a share. What was not measured is None, and says
why: a row by `not_run`, a goal by `reason`. A goal that was missed stays in the file as missed.
"""

import json
import shlex
import sys
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from infra import machine

RESULTS = machine.REPOSITORY / "docs" / "results"
"""Where results are kept with the commit: a folder for each of bench, chaos, demo, experiment and
pictures."""
Scalar = str | int | float | bool | None
Options = dict[str, Scalar]
"""How an arm is set up."""
Figures = dict[str, float | int | None]


@dataclass(frozen=True)
class ArmResult:
    """One arm: how it was set up, its figures, and every single measurement behind them.

    `figures` are shown in tables; `raw` holds lists (seconds of each listing) for whoever wants to
    compute others. `not_run` is empty where the arm ran, else the reason in a sentence.
    """

    name: str
    settings: Options = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)
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
    machine: Options
    rows: list[ArmResult]
    goals: list[Goal] = field(default_factory=list)
    trials: list[ArmResult] = field(default_factory=list)
    constants: Options = field(default_factory=dict)

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
            content[name] = [ArmResult(**entry) for entry in content[name]]
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
