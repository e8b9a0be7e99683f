"""The pictures of a run."""

from pathlib import Path
from typing import Any

from matplotlib.patches import Patch

from infra.demo.rows import RoundRow, RunReport, rows_to_show
from infra.demo.wording import label, number
from trainer import loss_plot
from trainer.plot_style import COLORS, INK, new_figure, save

SHOWN = ("net_benefit", "completeness", "recall", "precision", "acceptance")


def plot_losses(report: RunReport, path: Path) -> Path:
    """Training loss by optimizer step, one line for each round, into the PNG file `path`."""
    curves = {
        f"round {number}": [(point.step, point.loss) for point in points]
        for number, points in sorted(report.losses.items())
    }
    return loss_plot.plot_losses(curves, path)


def plot_metrics(report: RunReport, path: Path) -> Path:
    """Net benefit, shares and live acceptance by adapter, into the PNG file `path`.

    Bars carry their 95 % intervals; what was not measured has no bar.
    """
    rows = rows_to_show(report)
    # Never narrower than the legend.
    size = max(8.0, 3.0 + 1.8 * len(rows)), 4.6
    figure, axes = new_figure("The same held-out listings for all, with 95 % intervals", *size)
    width = 0.8 / len(SHOWN)
    for place, (name, color) in enumerate(zip(SHOWN, COLORS, strict=False)):
        offset = (place - (len(SHOWN) - 1) / 2) * width
        _bars(axes, rows, name, offset, width * 0.92, color)
    axes.set_xticks(range(len(rows)), [_label(row) for row in rows])
    axes.set_xlim(-0.6, len(rows) - 0.4)
    # A net benefit may be negative.
    axes.set_ylim(min(0.0, _lowest(rows) - 0.05), 1.08)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.spines["bottom"].set_visible(False)
    axes.set_ylabel("net benefit, shares (0 to 1)")
    axes.tick_params(axis="x", length=0)
    # All stand in the legend, so that what was never measured is missed.
    names = [f"{name} (live)" if name == "acceptance" else name.replace("_", " ") for name in SHOWN]
    patches = [Patch(color=color, label=name) for name, color in zip(names, COLORS, strict=False)]
    axes.legend(
        handles=patches,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        ncols=len(SHOWN),
        frameon=False,
    )
    return save(figure, path)


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
        axes.text(
            x, max(top, 0.0) + 0.015, number(value), ha="center", va="bottom", fontsize=7, color=INK
        )


def _lowest(rows: list[RoundRow]) -> float:
    bounds = (row.net_benefit_interval for row in rows)
    return min((low for low, _ in filter(None, bounds)), default=0.0)


def _label(row: RoundRow) -> str:
    return f"{label(row)}\n{row.adapter}\n{row.decision}" if row.round else label(row)
