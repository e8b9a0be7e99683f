"""How seldom the drift alarm is raised without a reason, and how soon with one.

`false` rows: years in which acceptance stays as it was; each alarm is answered to, and the watch
goes on. `fall` rows: acceptance falls by 0.10 at some moment.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console

from infra.lab.bench.chart import new_panels
from infra.lab.bench.drift import simulation
from infra.lab.bench.drift.simulation import SPREAD
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, BenchResult, Figures, Goal, Options, begin
from infra.progress import bar
from infra.settings import Settings
from streams.drift_settings import DriftSettings
from streams.statistics.betting import LOOKS_A_YEAR
from streams.statistics.power import sellers_with
from trainer.plot_style import COLORS, GRID, INK, save

YEARS, RUNS, QUICK = 40, 400, 20
ACCEPTANCE, FALL = 0.8, 0.10
USUAL_VALUES, USUAL_HOUR, RETURNING = 10, 10, 1000
"""Values that a review showed, reviews an hour, and how many sellers there are who come again."""
CURVE = tuple(range(0, 101, 2))
"""Percentiles that a row keeps of the reviews that its runs took."""


def run(settings: Settings, console: Console, quick: bool = False) -> Path:
    """Simulate all rows under the alarm's settings, write and show them; the result file's path.

    quick: few runs, and the result is kept aside.
    """
    result = simulate(settings.streams.drift, quick, console)
    return publish([result], bench_folder(quick), draw, console)


def simulate(drift: DriftSettings, quick: bool, console: Console) -> BenchResult:
    """The whole result, with a progress bar on `console`."""
    begun = begin("drift")
    with bar(console) as shown:
        rows = [make() for make in shown.track(_work(drift, quick), description="simulating")]
    constants: Options = {
        "threshold": LOOKS_A_YEAR,
        "tolerance": drift.tolerance,
        "reference_sellers": drift.reference_sellers,
        "spread_of_sellers": SPREAD,
    }
    return replace(begun, rows=rows, goals=goals(rows), constants=constants)


def goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """What the alarm has to keep to, as far as the rows tell."""
    found = []
    for row in rows:
        if row.settings["row"] == "false":
            found.append(
                Goal(f"{row.name}: alarms a year", 1.0, row.figure("alarms_a_year"), False)
            )
        elif row.settings["values"] == USUAL_VALUES:
            found.append(Goal(f"{row.name}: median", 400, row.figure("median_reviews"), False))
            found.append(Goal(f"{row.name}: p90", 400, row.figure("p90_reviews"), False))
    return found


def _work(drift: DriftSettings, quick: bool) -> list[Callable[[], ArmResult]]:
    """What makes each of the rows."""
    share = QUICK if quick else 1
    work: list[Callable[[], ArmResult]] = [
        partial(_false_row, drift, kind, YEARS // share)
        for kind in ("at the tolerance, reference known", "as it was", "as it was, returning")
    ]
    for values, mean, an_hour in product((USUAL_VALUES, 1), (0.7, 0.8, 0.9), (2, 10, 50)):
        if values == USUAL_VALUES or an_hour == USUAL_HOUR:
            work.append(partial(_fall_row, drift, values, mean, an_hour, RUNS // share))
    return work


def _false_row(drift: DriftSettings, kind: str, years: int) -> ArmResult:
    counts = []
    for seed in range(years):
        rng = np.random.default_rng([seed, len(kind)])
        mean = ACCEPTANCE - drift.tolerance * kind.startswith("at")
        sellers = sellers_with(mean, USUAL_VALUES, SPREAD)
        if "returning" in kind:
            shares = simulation.a_year_of_returning(mean, USUAL_VALUES, RETURNING, USUAL_HOUR, rng)
        else:
            shares = simulation.a_year_of_new(sellers, USUAL_HOUR, rng)
        learned = float(sellers(rng, drift.reference_sellers).mean())
        reference = ACCEPTANCE if kind.startswith("at") else learned
        counts.append(simulation.alarms_in_a_year(shares, USUAL_HOUR, reference, drift.tolerance))
    figures: Figures = {
        "alarms_a_year": float(np.mean(counts)),
        "years_with_one": float((np.array(counts) > 0).mean()),
        "years": years,
    }
    settings: Options = {"row": "false", "acceptance": ACCEPTANCE, "reviews_an_hour": USUAL_HOUR}
    return ArmResult(f"acceptance {kind}", settings, figures)


def _fall_row(drift: DriftSettings, values: int, mean: float, an_hour: int, runs: int) -> ArmResult:
    before, after = (sellers_with(m, values, SPREAD) for m in (mean, mean - FALL))
    found = np.array(
        [
            simulation.seen_after(
                before, after, an_hour, drift.reference_sellers, drift.tolerance,
                np.random.default_rng([seed, values, an_hour, round(100 * mean)]),
            )
            for seed in range(runs)
        ]
    )  # fmt: skip
    true = found[found > 0]
    figures: Figures = {
        "median_reviews": _finite(np.percentile(true, 50, method="higher")),
        "p90_reviews": _finite(np.percentile(true, 90, method="higher")),
        "within_400_reviews": float((true <= 400).mean()),
        "raised_before": float((found == 0).mean()),
        "runs": runs,
    }
    curve = np.percentile(np.minimum(true, simulation.MOST_AFTER), CURVE).tolist()
    settings: Options = {
        "row": "fall",
        "values": values,
        "acceptance": mean,
        "reviews_an_hour": an_hour,
    }
    name = f"{mean:g} to {mean - FALL:g}, {an_hour} reviews an hour, {values} values each"
    return ArmResult(name, settings, figures, {"percentiles": curve})


def _finite(reviews: float) -> float | None:
    return float(reviews) if np.isfinite(reviews) else None


def draw(result: BenchResult, path: Path) -> Path:
    """Draw who is found by when, a line an acceptance, into the PNG file `path`."""
    title = f"The drift alarm, {result.date}, commit {result.commit}"
    titles = [f"a fall of {FALL:g} seen: {n} values a review" for n in (USUAL_VALUES, 1)]
    figure, panels = new_panels(title, titles, 10, 4.2)
    for axes, values in zip(panels, (USUAL_VALUES, 1), strict=True):
        rows = [
            row
            for row in result.rows
            if row.settings.get("values") == values
            and row.settings["reviews_an_hour"] == USUAL_HOUR
        ]
        for color, row in zip(COLORS, rows, strict=False):
            label = f"from {row.settings['acceptance']:g}"
            axes.plot(row.raw["percentiles"], [p / 100 for p in CURVE], color=color, label=label)
        axes.axvline(400, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlim(0, 1500)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("reviews after the fall", color=INK)
        axes.grid(color=GRID, linewidth=0.8)
        axes.legend(frameon=False, fontsize=8)
    return save(figure, path)
