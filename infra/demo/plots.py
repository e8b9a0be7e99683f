"""The pictures of a run. Drawn without pyplot, so there is no global state and no display."""

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from infra.demo.report import RoundRow, RunReport, rows_to_show

# Okabe and Ito's colours: told apart with any kind of colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, GRID = "#333333", "#DDDDDD"
SHARES = ("completeness", "recall", "precision", "acceptance")
DOTS_PER_INCH = 150


def plot_losses(report: RunReport, path: Path) -> Path:
    """Training loss by optimizer step, one line for each round, into the PNG file `path`."""
    figure, axes = _figure("Training loss of each round", 7.5, 4.2)
    for number, (place, points) in enumerate(sorted(report.losses.items())):
        color = COLORS[number % len(COLORS)]
        steps, losses = [p.step for p in points], [p.loss for p in points]
        axes.plot(steps, losses, color=color, marker="o", markersize=3.5, label=f"round {place}")
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss on answer tokens (nats a token)")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return _save(figure, path)


def plot_metrics(report: RunReport, path: Path) -> Path:
    """Completeness, recall, precision and acceptance by adapter, into the PNG file `path`.

    Bars carry their 95 % intervals; what was not measured has no bar.
    """
    rows = rows_to_show(report)
    figure, axes = _figure(
        "Held-out shares by round, with 95 % intervals", 3.0 + 1.6 * len(rows), 4.6
    )
    width = 0.8 / len(SHARES)
    for number, name in enumerate(SHARES):
        offset = (number - (len(SHARES) - 1) / 2) * width
        _bars(axes, rows, name, offset, width * 0.92, COLORS[number])
    axes.set_xticks(range(len(rows)), [_label(row) for row in rows])
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.set_ylim(0, 1.08)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_ylabel("share (0 to 1)")
    axes.tick_params(axis="x", length=0)
    # Every share stands in the legend, so that one which was never measured is missed.
    names = ["acceptance (live)" if name == "acceptance" else name for name in SHARES]
    patches = [Patch(color=color, label=name) for name, color in zip(names, COLORS, strict=False)]
    axes.legend(
        handles=patches,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        ncols=len(SHARES),
        frameon=False,
    )
    return _save(figure, path)


def _bars(
    axes: Any, rows: list[RoundRow], name: str, offset: float, width: float, color: str
) -> None:
    for place, row in enumerate(rows):
        value = getattr(row, name)
        if value is None:
            continue
        x = place + offset
        bounds = getattr(row, f"{name}_interval", None)
        axes.bar(x, value, width, color=color)
        if bounds:
            spread = [[max(0.0, value - bounds[0])], [max(0.0, bounds[1] - value)]]
            axes.errorbar(x, value, yerr=spread, color=INK, elinewidth=1, capsize=3)
        top = max(value, bounds[1] if bounds else value)
        text = f"{value:.2f}".removeprefix("0")
        axes.text(x, top + 0.015, text, ha="center", va="bottom", fontsize=8, color=INK)


def _label(row: RoundRow) -> str:
    decision = "" if row.decision in ("", "base", "baseline") else f"\n{row.decision}"
    return f"round {row.round}\n{row.adapter}{decision}"


def _figure(title: str, width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(
        figsize=(width, height),
        layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12),
        facecolor="white",
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=10)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(colors=INK)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path
