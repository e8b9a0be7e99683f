"""How narrow an audit's interval is, how often it holds the truth, and how many values it needs.

The worlds are made up (`simulation`), strata, allocation and estimates are the real code. A row is
a world; `powered` is the estimate that decides, `stratified` the same sample without scores, and
`classical` as many values drawn from all alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from infra.lab.bench.audit.simulation import LENIENT, POPULATION, REVIEWED, WORLDS, audits, needed
from infra.lab.bench.chart import new_panels
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, BenchResult, Goal, begin
from infra.progress import bar
from infra.settings import Settings
from streams.audit.stratifying import LEAST_SD, MOST_BANDS, PER_BAND
from trainer.plot_style import COLORS, GRID, INK, save

SIZE = 200
HALF_WIDTH = 0.05
CLASSICAL_SIZE = 385  # 1.96² x 0.25 / 0.05²
AUDITS, AUDITS_A_SIZE = 2000, 40
"""A row's, and those by which the size that is needed is found; a fortieth in a quick run."""
SIZES = tuple(range(20, 461, 10))
TELLING = "telling"


def run(settings: Settings, console: Console, quick: bool = False) -> Path:
    """Simulate all rows, write and show them; the result file's path.

    quick: few audits, and the result is kept aside.
    """
    return publish([simulate(quick, console)], bench_folder(quick), draw, console)


def simulate(quick: bool, console: Console) -> BenchResult:
    """The whole result, with a progress bar on `console`."""
    begun = begin("audit")
    scale = 40 if quick else 1
    work: list[Callable[[], ArmResult]] = [
        partial(_row, name, AUDITS // scale, max(2, AUDITS_A_SIZE // scale)) for name in WORLDS
    ]
    with bar(console) as shown:
        rows = [make() for make in shown.track(work, description="auditing")]
    return replace(
        begun,
        rows=rows,
        goals=goals(rows),
        constants={
            "audited_values": SIZE,
            "suggested_values": POPULATION,
            "share_reviewed": REVIEWED,
            "wrong_values_accepted": LENIENT,
            "least_sd": LEAST_SD,
            "most_bands": MOST_BANDS,
            "drawn_values_a_band": PER_BAND,
            "classical_size": CLASSICAL_SIZE,
        },
    )


def goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """What an audit has to keep to: narrow where scores tell, honest everywhere, never much wider
    than the classical one."""
    found = []
    for row in rows:
        if row.name == TELLING:
            width = row.figure("powered_half_width")
            found.append(Goal(f"{row.name}: half-width of {SIZE} values", 0.05, width, False))
            size = row.figure("powered_needs_values")
            found.append(Goal(f"{row.name}: values for ± 0.05", 200, size, False))
        found.append(Goal(f"{row.name}: coverage", 0.94, row.figure("powered_coverage")))
        powered, classical = row.figure("powered_error"), row.figure("classical_error")
        ratio = powered / classical if powered and classical else None
        found.append(Goal(f"{row.name}: error / classical error", 1.05, ratio, False))
    return found


def _row(name: str, count: int, count_a_size: int) -> ArmResult:
    world = WORLDS[name]
    figures = audits(world, SIZE, count).figures()
    for way in ("powered", "classical"):
        figures[f"{way}_needs_values"] = needed(world, way, HALF_WIDTH, count_a_size, SIZES)
    return ArmResult(name=name, settings={"audited": SIZE}, figures=figures)


def draw(result: BenchResult, path: Path) -> Path:
    """Draw half-width and coverage of each world, powered beside classical, into `path`."""
    title = f"An audit of {SIZE} values, {result.date}, commit {result.commit}"
    panels_of = {"half_width": "half of the 95 % interval", "coverage": "intervals with the truth"}
    figure, panels = new_panels(title, list(panels_of.values()), 11, 4.6)
    names = [row.name for row in result.rows]
    for axes, kind in zip(panels, panels_of, strict=True):
        axes.set_yticks(range(len(names)), names if axes is panels[0] else [""] * len(names))
        axes.set_ylim(len(names) - 0.4, -0.6)
        for shift, way, color in ((-0.15, "powered", COLORS[0]), (0.15, "classical", COLORS[4])):
            found = [row.figure(f"{way}_{kind}") or 0.0 for row in result.rows]
            places = [place + shift for place in range(len(names))]
            axes.plot(found, places, "o", color=color, label=way)
        axes.axvline(0.95 if kind == "coverage" else HALF_WIDTH, color=INK, linewidth=0.8)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.legend(frameon=False, fontsize=8)
    panels[1].set_xlim(0.9, 1.0)
    return save(figure, path)
