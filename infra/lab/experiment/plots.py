"""The pictures of the results page: losses, shares by round, the sweep."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infra.lab.experiment.figures import COST_OF_WRONG, METRICS, DataSetFigures
from infra.lab.experiment.statistics import SHOWN, measured, of_round, tested_rounds
from trainer.plot_style import COLORS, INK, plain

DOTS_PER_INCH = 100
STYLES = ("-", "--", ":")
LINES = {"nearest listing, filled up": "--", "majority value": ":"}
"""Baselines that are drawn as lines across."""

LOWEST = {METRICS[0]: -COST_OF_WRONG}
"""Of what may be below 0: where everything is filled and nothing is right."""

Look = tuple[str, dict[str, Any]]
"""An arm and how it is drawn."""


def plot_losses(data: DataSetFigures, path: Path) -> Path:
    """Training loss over the steps of all rounds, a line an arm (the paper's figure 3)."""
    seed = data.arms[0].seed
    figure, panels = _figure(1, 2, 13.0, 4.8)
    for axes, (title, arms) in zip(panels, _panels(data), strict=True):
        for arm, look in arms:
            rounds = next(a.rounds for a in data.arms if a.arm == arm and a.seed == seed)
            start = 0
            for made in rounds:
                steps = range(start + 1, start + len(made.losses) + 1)
                label = arm if made is rounds[0] else None
                axes.plot(steps, made.losses, label=label, linewidth=1.2, **look)
                start += len(made.losses)
        axes.set_title(f"{data.name}, {title}: training loss, seed {seed}", **_TITLE)
        axes.set_xlabel("optimizer step, all rounds in a row; lines break between rounds")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel("loss on answer tokens (nats a token)")
    return _save(figure, path)


def plot_shares(data: DataSetFigures, path: Path) -> Path:
    """Each of `SHOWN` on the sealed test in free mode, by round and arm."""
    figure, panels = _figure(2, len(SHOWN), 18.0, 8.4)
    for row, (title, arms) in enumerate(_panels(data)):
        own = panels[row * len(SHOWN) : (row + 1) * len(SHOWN)]
        for axes, name in zip(own, SHOWN, strict=True):
            _plot_share(axes, data, name, arms)
            axes.set_title(f"{title}: {name}", **_TITLE)
        own[0].set_ylabel(f"{data.name}, sealed test")
        own[-1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _save(figure, path)


def _plot_share(axes: Any, data: DataSetFigures, name: str, arms: Sequence[Look]) -> None:
    rounds = [0, *tested_rounds(data)]
    for number, (arm, look) in enumerate(arms):
        found = [measured(data.test, of_round(data, arm, t))[name] for t in rounds]
        # A little aside of each other, so that intervals can be told apart.
        places = [t + (number - len(arms) / 2) * 0.03 for t in rounds]
        spread = [
            [max(i.value - i.low, 0.0) for i in found],
            [max(i.high - i.value, 0.0) for i in found],
        ]
        values = [i.value for i in found]
        axes.errorbar(places, values, spread, label=arm, elinewidth=0.6, marker="o", ms=3, **look)
    for baseline, style in LINES.items():
        if baseline in data.baselines:
            value = measured(data.test, [data.baselines[baseline]])[name].value
            axes.axhline(value, color=INK, linewidth=1, linestyle=style, label=baseline)
    axes.set_xlabel("round (0: the base)")
    axes.set_ylim(LOWEST.get(name, 0), 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def plot_sweep(data: DataSetFigures, path: Path) -> Path:
    """What each learning rate gives after one round, on the calibration listings."""
    figure, (axes,) = _figure(1, 1, 6.5, 3.8)
    rates = [point.learning_rate for point in data.sweep]
    for color, name in zip(COLORS, METRICS, strict=False):
        values = [getattr(point, name.replace(" ", "_")) for point in data.sweep]
        axes.plot(rates, values, color=color, marker="o", markersize=4, label=name)
    axes.axvline(data.learning_rate, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_ylim(-COST_OF_WRONG, 1)
    axes.set_title(f"{data.name}: one round from the base", **_TITLE)
    axes.set_xlabel("learning rate (dotted: taken)")
    axes.legend(frameon=False, fontsize=8)
    return _save(figure, path)


_TITLE: dict[str, Any] = {"loc": "left", "fontsize": 11, "fontweight": "bold", "color": INK}


def _panels(data: DataSetFigures) -> list[tuple[str, list[Look]]]:
    """Strategies, all with the reference's curation, and curations, all with its strategy."""
    reference, first = data.arms[0], {arm.arm: arm for arm in data.arms}
    return [
        ("strategies", _looks(n for n, arm in first.items() if arm.curation == reference.curation)),
        ("curations", _looks(n for n, arm in first.items() if arm.strategy == reference.strategy)),
    ]


def _looks(arms: Iterable[str]) -> list[Look]:
    """Each arm with a colour and a line style of its own."""
    return [
        (arm, {"color": COLORS[n % len(COLORS)], "linestyle": STYLES[n // len(COLORS)]})
        for n, arm in enumerate(arms)
    ]


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for one in axes:
        plain(one)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path
