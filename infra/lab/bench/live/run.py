"""How often the statistics of live traffic are wrong, and how soon they are right.

All looks are after every review, but those of the drift alarm, which are 24 a day.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from infra.lab.bench.chart import new_panels
from infra.lab.bench.live import simulation
from infra.lab.bench.live.simulation import ACCEPTANCE, ERROR, SPREAD, VALUES, Traffic
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, BenchResult, Figures, Goal, Options, begin
from infra.progress import bar
from streams.statistics.power import sellers_needed, sellers_with
from trainer.plot_style import COLORS, GRID, INK, save

RUNS, QUICK = 1000, 20
REVIEWS, SELLERS = 2000, 10_000
GROWTH: tuple[dict[str, float], ...] = (
    {"control": 0.05, "treated": 0.01, "blind": 0.0},
    {"control": 0.05, "treated": 0.05, "blind": 0.01},
    {"control": 0.10, "treated": 0.05, "blind": 0.01},
    {"control": 0.10, "treated": 0.10, "blind": 0.01},
    {"control": 0.25, "treated": 0.10, "blind": 0.02},
    {"control": 0.25, "treated": 0.20, "blind": 0.02},
    {"control": 0.40, "treated": 0.25, "blind": 0.02},
    {"control": 0.45, "treated": 0.40, "blind": 0.02},
    {"control": 0.49, "treated": 0.45, "blind": 0.02},
    {"control": 0.49, "treated": 0.49, "blind": 0.02},
)
CURVE = tuple(range(0, 101, 2))
"""Percentiles that a row keeps of how long its runs took."""


def run(console: Console, quick: bool = False) -> Path:
    """Simulate all rows, write and show them; the result file's path.

    quick: few runs, and the result is kept aside.
    """
    return publish(
        [simulate(QUICK if quick else RUNS, console)], bench_folder(quick), draw, console
    )


def simulate(runs: int, console: Console) -> BenchResult:
    """The whole result, with a progress bar on `console`."""
    begun = begin("arms")
    with bar(console) as shown:
        rows = [make() for make in shown.track(_work(runs), description="simulating")]
    constants: Options = {
        "runs": runs,
        "error": ERROR,
        "acceptance_of_the_control": ACCEPTANCE,
        "values_a_review": VALUES,
        "standard_deviation_between_sellers": SPREAD,
    }
    return replace(begun, rows=rows, goals=goals(rows), constants=constants)


def goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """What live traffic has to be judged by, as far as the rows tell."""
    wanted: dict[str, tuple[str, float, bool]] = {
        "arms alike, 50 %": ("wrong_by_betting", ERROR, False),
        "arms alike, 10 %": ("wrong_by_betting", ERROR, False),
        "arms alike, first reviews of those": ("wrong_by_betting", ERROR, False),
        "0.50 to 0.05, 10 %": ("treated_p90", 20, False),
        "shares 52/48": ("found", 0.80, True),
        "shares 50/50": ("found", ERROR, False),
        "arms while shares grow": ("switches", 0, False),
        "drift, at the reference": ("false_alarms_a_year", 1, False),
        "drift, at the tolerance": ("false_alarms_a_year", 1, False),
        "drop of 0.10": ("p90_reviews", 400, False),
    }
    return [
        Goal(f"{row.name}: {figure}", limit, row.figure(figure), at_least)
        for row in rows
        if row.name in wanted
        for figure, limit, at_least in [wanted[row.name]]
    ]


def _work(runs: int) -> list[Callable[[], ArmResult]]:
    """What makes each of the rows."""
    needed = (
        ("0.50 to 0.05, 10 %", 0.05, 0.1, 0.0, 1000),
        ("0.50 to 0.40, 10 %", 0.40, 0.1, 0.0, 8000),
        ("0.50 to 0.40, 50 %", 0.40, 0.5, 0.0, 4000),
        ("0.50 to 0.45, 50 %", 0.45, 0.5, 0.0, 8000),
        ("as good, not 0.05 worse, 10 %", 0.50, 0.1, -0.05, 20_000),
        ("0.50 to 0.60, not 0.05 worse, 10 %", 0.60, 0.1, -0.05, 8000),
    )
    return [
        partial(_alike, "arms alike, 50 %", _once, 0.5, runs),
        partial(_alike, "arms alike, 10 %", _once, 0.1, runs),
        partial(_alike, "arms alike, all reviews of returning sellers", _returning, 0.5, runs),
        partial(_alike, "arms alike, first reviews of those", _first, 0.5, runs),
        *(partial(_needed, *row, runs) for row in needed),
        partial(_shares, "shares 52/48", 0.52, runs),
        partial(_shares, "shares 50/50", 0.50, runs),
        partial(_growing, 100 * runs),
        partial(_false_alarms, "drift, at the reference", ACCEPTANCE, max(1, runs // 10)),
        partial(_false_alarms, "drift, at the tolerance", ACCEPTANCE - 0.03, max(1, runs // 10)),
        partial(_drop, "drop of 0.10", VALUES, runs),
        partial(_drop, "drop of 0.10, 5 values a review", 5, runs),
    ]


def _once(rng: np.random.Generator, share: float) -> Traffic:
    return simulation.each_once(rng, REVIEWS, share)


def _returning(rng: np.random.Generator, share: float) -> Traffic:
    return simulation.returning(rng, REVIEWS, share)


def _first(rng: np.random.Generator, share: float) -> Traffic:
    return simulation.returning(rng, REVIEWS * 10, share).of_first_reviews()


def _alike(
    name: str, make: Callable[[np.random.Generator, float], Traffic], share: float, runs: int
) -> ArmResult:
    """How often arms that are alike are called different by then; curves over the reviews."""
    traffics = [make(np.random.default_rng(number), share) for number in range(runs)]
    betting = np.array([simulation.betting_wrong_at(traffic) for traffic in traffics])
    over_values = [simulation.z_wrong_at(traffic, over_values=True) for traffic in traffics]
    over_reviews = [simulation.z_wrong_at(traffic, over_values=False) for traffic in traffics]
    plain = np.array([at for at, _ in over_reviews])
    reviews = [len(traffic.treated) for traffic in traffics]
    looks = np.linspace(0, max(reviews), 51)
    return ArmResult(
        name=name,
        settings={"share": share},
        figures={
            "wrong_by_betting": float(np.isfinite(betting).mean()),
            "wrong_by_z_at_every_look": float(np.isfinite(plain).mean()),
            "wrong_by_z_once_at_the_end": float(np.mean([wrong for _, wrong in over_reviews])),
            "wrong_by_z_over_values_at_every_look": float(
                np.mean([np.isfinite(at) for at, _ in over_values])
            ),
            "wrong_by_z_over_values_once_at_the_end": float(
                np.mean([wrong for _, wrong in over_values])
            ),
            "reviews": round(float(np.mean(reviews))),
        },
        raw={
            "looks": looks.tolist(),
            "betting": [float(np.mean(betting <= look)) for look in looks],
            "z": [float(np.mean(plain <= look)) for look in looks],
        },
    )


def _needed(
    name: str, mean: float, share: float, difference: float, most: int, runs: int
) -> ArmResult:
    control, treated = (sellers_with(each, VALUES, SPREAD) for each in (ACCEPTANCE, mean))
    found = sellers_needed(control, treated, share, difference, ERROR, most, runs)
    figures: Figures = {
        "treated_median": found.treated_median,
        "treated_p90": found.treated_p90,
        "sellers_median": found.median,
        "sellers_p90": found.p90,
        "decided": found.decided,
    }
    return ArmResult(name, {"share": share, "refuted": difference, "most": most}, figures)


def _shares(name: str, share: float, runs: int) -> ArmResult:
    found = np.array([simulation.mismatch_at(share, SELLERS, seed) for seed in range(runs)])
    figures: Figures = {"found": float(np.isfinite(found).mean()), **_when(found, "sellers")}
    return ArmResult(name, {"sellers": SELLERS}, figures, _curve(found))


def _growing(sellers: int) -> ArmResult:
    found = simulation.assign(sellers, GROWTH)
    return ArmResult(
        "arms while shares grow",
        {"sellers": sellers, "steps": len(GROWTH)},
        {
            "assignments": found.assignments,
            "switches": found.switches,
            "from_no_arm_into_one": found.into_arms,
            **{f"share_of_{arm}": share for arm, share in found.realised.items()},
            "largest_difference_to_wanted": max(
                abs(found.realised[arm] - share) for arm, share in found.wanted.items()
            ),
        },
    )


def _false_alarms(name: str, mean: float, years: int) -> ArmResult:
    alarms = simulation.false_alarms(mean, 10, years, 0)
    figures: Figures = {"false_alarms_a_year": alarms / years, "years": years}
    return ArmResult(name, {"mean": mean, "looks_a_day": 24, "reviews_a_look": 10}, figures)


def _drop(name: str, values: int, runs: int) -> ArmResult:
    before, after = (sellers_with(mean, values, SPREAD) for mean in (ACCEPTANCE, ACCEPTANCE - 0.1))
    rngs = map(np.random.default_rng, range(runs))
    found = np.array([simulation.drop_seen_after(before, after, 10, rng) for rng in rngs])
    figures: Figures = {
        "within_400_reviews": float((found <= 400).mean()),
        **_when(found, "reviews"),
    }
    return ArmResult(name, {"looks_a_day": 24, "reviews_a_look": 10}, figures, _curve(found))


def _when(found: Any, unit: str) -> Figures:
    shown: Figures = {}
    for figure, percent in ((f"median_{unit}", 50), (f"p90_{unit}", 90)):
        value = float(np.percentile(found, percent, method="higher"))
        shown[figure] = int(value) if np.isfinite(value) else None
    return shown


def _curve(found: Any) -> dict[str, list[float]]:
    """At how many reviews each of the percentiles `CURVE` was reached; -1 where never."""
    at = np.percentile(found, CURVE, method="higher")
    return {"percentiles": [float(each) if np.isfinite(each) else -1.0 for each in at]}


def draw(result: BenchResult, path: Path) -> Path:
    """Draw who is wrong by when, and who is found by when, into the PNG file `path`."""
    title = f"Live statistics, {result.date}, commit {result.commit}"
    titles = ["arms alike, called different", "found: shares 52/48", "found: drop of 0.10"]
    figure, panels = new_panels(title, titles, 13, 4.2)
    rows = {row.name: row for row in result.rows}
    for color, (label, name) in zip(
        COLORS,
        {
            "a number a seller": "arms alike, 50 %",
            "every review": "arms alike, all reviews of returning sellers",
        }.items(),
        strict=False,
    ):
        raw = rows[name].raw
        panels[0].plot(raw["looks"], raw["betting"], color=color, label=f"betting, {label}")
        panels[0].plot(raw["looks"], raw["z"], "--", color=color, label=f"plain z, {label}")
    panels[0].axhline(ERROR, color=INK, linewidth=0.8)
    panels[0].legend(frameon=False, fontsize=8, loc="center right")
    for axes, name in zip(panels[1:], ("shares 52/48", "drop of 0.10"), strict=True):
        reached = rows[name].raw["percentiles"]
        shown = [(at, percent / 100) for at, percent in zip(reached, CURVE, strict=True) if at >= 0]
        axes.plot(*zip(*shown, strict=True), color=COLORS[0])
    for axes, unit in zip(panels, ("reviews", "sellers", "reviews"), strict=True):
        axes.set_xlabel(unit, color=INK)
        axes.set_ylim(-0.02, 1.02)
        axes.grid(color=GRID, linewidth=0.8)
    return save(figure, path)
