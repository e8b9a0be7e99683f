"""How often the gate is wrong: its rates on listings that are made up, by its real code.

How far two adapters' answers to one value hang together (`likeness`) decides how noisy a comparison
is. Parent and child of the published experiments, 60 listings at a time, had standard errors of
0.013 to 0.032, the median 0.02 (`noise`); likenesses are chosen to give the median (`usual`) and
the largest (`noisy`).

The rates count a promotion at any look. A course is twenty rounds in which no candidate is better
than its parent: how far below the best former champion does the alias come?

Where listings are of several kinds of input, in the mix of the paper, a candidate that gains on the
others and not on pictures alone is to be promoted, and one that loses there is to be held back.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console

from infra.lab.bench.chart import new_panels
from infra.lab.bench.gate.simulation import World, course, rates, rates_by_kind
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, BenchResult, Goal, Options, begin
from infra.progress import bar
from infra.settings import Settings
from trainer.judging.gate import LOOKS, Rule
from trainer.plot_style import COLORS, GRID, INK, save

NONE, WORSE, BETTER = 0.0, -0.05, 0.10
CURVE = (-0.10, WORSE, -0.02, NONE, 0.02, 0.05, BETTER, 0.15, 0.20)
SIZES = (24, 60, 100, 1000)
LIKENESS = {"usual": 0.8, "noisy": 0.0}
COURSES: dict[str, Callable[[int], float]] = {
    "twenty rounds of 0": lambda _: 0.0,
    "twenty rounds of -0.01": lambda _: -0.01,
    "twenty rounds of 0 and -0.01 in turn": lambda number: -0.01 * (number % 2),
}
KINDS = (0.459, 0.376, 0.165)
"""Shares of text, text with a picture, and a picture alone: of the paper."""
PICTURES, MIXED_SIZES = (BETTER, NONE, -0.10, -0.20), (100, 400)
"""What candidates that gain `BETTER` on all else gain on pictures alone."""
CANDIDATES_A_ROW, COURSES_A_ROW = 4000, 400
"""With up to 100 listings; a quarter of them with more, a twentieth in a quick run."""


def run(settings: Settings, console: Console, quick: bool = False) -> Path:
    """Simulate all rows under the gate's settings, write and show them; the result file's path.

    quick: few candidates, and the result is kept aside.
    """
    rule = Rule.of(settings.trainer)
    return publish([simulate(rule, quick, console)], bench_folder(quick), draw, console)


def simulate(rule: Rule, quick: bool, console: Console) -> BenchResult:
    """The whole result, with a progress bar on `console`."""
    begun = begin("gate")
    with bar(console) as shown:
        rows = [make() for make in shown.track(_work(rule, quick), description="simulating")]
    constants: Options = {
        "cost_of_wrong": rule.cost_of_wrong,
        "margin": rule.margin,
        "least_gain": rule.least_gain,
        "looks": LOOKS,
        "bootstrap_draws": rule.draws,
    }
    return replace(begun, rows=rows, goals=goals(rows, rule), constants=constants)


def goals(rows: Sequence[ArmResult], rule: Rule) -> list[Goal]:
    """What the gate has to keep to, as far as the rows tell."""
    found = []
    for row in rows:
        gain, listings = row.settings.get("true_difference"), row.settings["listings"]
        pictures = row.settings.get("on_pictures")
        if pictures is not None:
            if isinstance(pictures, float) and pictures >= NONE:
                held_back = row.figure("held_back_at_first_look")
                found.append(Goal(f"{row.name}: held back at first", 0.05, held_back, False))
        elif gain is None:
            name = f"{row.name}: courses that stay within {rule.margin:g} of the best"
            found.append(Goal(name, 0.95, row.figure("within_margin")))
        elif gain == NONE:
            found.append(Goal(f"{row.name}: promoted", 0.10, row.figure("promoted"), False))
        elif gain == WORSE:
            found.append(Goal(f"{row.name}: promoted", 0.01, row.figure("promoted"), False))
        elif gain == BETTER and isinstance(listings, int) and listings >= 60:
            found.append(Goal(f"{row.name}: promoted", 0.95, row.figure("promoted")))
    return found


def _work(rule: Rule, quick: bool) -> list[Callable[[], ArmResult]]:
    """What makes each of the rows."""

    def share(many: int, listings: int) -> int:
        return many // (1 if listings <= 100 else 4) // (20 if quick else 1)

    work: list[Callable[[], ArmResult]] = []
    for noise, listings in product(LIKENESS, SIZES):
        for gain in CURVE if noise == "usual" else (NONE, WORSE, BETTER):
            count = share(CANDIDATES_A_ROW, listings)
            work.append(partial(_rate_row, rule, noise, listings, gain, count))
    for listings, gain in product(MIXED_SIZES, PICTURES):
        work.append(partial(_mixed_row, rule, listings, gain, share(CANDIDATES_A_ROW, listings)))
    for name, listings in product(COURSES, SIZES):
        count = share(COURSES_A_ROW, listings)
        work.append(partial(_course_row, rule, name, listings, count))
    return work


def _rate_row(rule: Rule, noise: str, listings: int, gain: float, candidates: int) -> ArmResult:
    tally = rates(rule, World(LIKENESS[noise]), listings, gain, candidates)
    return ArmResult(
        name=f"{gain:+.2f}, {listings} listings, {noise}",
        settings={"true_difference": gain, "listings": listings, "noise": noise},
        figures=tally.figures(),
    )


def _mixed_row(rule: Rule, listings: int, gain: float, candidates: int) -> ArmResult:
    counts = [round(share * listings) for share in KINDS]
    kinds = list(zip(counts, (BETTER, BETTER, gain), strict=True))
    return ArmResult(
        name=f"pictures alone {gain:+.2f}, others {BETTER:+.2f}, {listings} listings",
        settings={"on_pictures": gain, "listings": listings, "noise": "usual, by kind"},
        figures=rates_by_kind(rule, World(LIKENESS["usual"]), kinds, candidates).figures(),
    )


def _course_row(rule: Rule, name: str, listings: int, count: int) -> ArmResult:
    world, gains = World(LIKENESS["usual"]), COURSES[name]
    worst = np.array([course(rule, world, listings, gains, seed) for seed in range(count)])
    return ArmResult(
        name=f"{name}, {listings} listings",
        settings={"listings": listings, "noise": "usual"},
        figures={
            "within_margin": float((worst <= rule.margin + 1e-9).mean()),
            "mean_loss": float(worst.mean()),
            "largest_loss": float(worst.max()),
            "courses": count,
        },
    )


def draw(result: BenchResult, path: Path) -> Path:
    """Draw promotions by true gain, a line a number of listings, into the PNG file `path`."""
    title = f"The gate's rates, {result.date}, commit {result.commit}"
    figures = {
        "promoted_at_first_look": "promoted at the first look",
        "promoted": "promoted at any look",
    }
    figure, panels = new_panels(title, list(figures.values()), 9, 4.2)
    rows = [row for row in result.rows if row.settings["noise"] == "usual"]
    for axes, name in zip(panels, figures, strict=True):
        for color, listings in zip(COLORS, SIZES, strict=False):
            of_size = [row for row in rows if row.settings["listings"] == listings]
            own = [row for row in of_size if name in row.figures]
            gains = [float(row.settings["true_difference"] or 0) for row in own]
            shares = [row.figure(name) or 0.0 for row in own]
            axes.plot(gains, shares, marker="o", color=color, label=f"{listings:,} listings")
        axes.set_xlabel("true difference in net benefit, candidate - parent", color=INK)
        axes.set_ylim(-0.02, 1.02)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.grid(color=GRID, linewidth=0.8)
        axes.legend(frameon=False, fontsize=8)
    return save(figure, path)
