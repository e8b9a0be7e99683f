"""The pictures of a run."""

from pathlib import Path
from typing import Any

from matplotlib.patches import Patch

from infra.demo.report import RoundRow, RunReport, rows_to_show
from trainer import loss_plot
from trainer.figures import COLORS, INK, new_figure, save

SHARES = ("completeness", "recall", "precision", "acceptance")


def plot_losses(report: RunReport, path: Path) -> Path:
    """Training loss by optimizer step, one line for each round, into the PNG file `path`."""
    curves = {
        f"round {number}": [(point.step, point.loss) for point in points]
        for number, points in sorted(report.losses.items())
    }
    return loss_plot.plot_losses(curves, path)


def plot_metrics(report: RunReport, path: Path) -> Path:
    """Completeness, recall, precision and acceptance by adapter, into the PNG file `path`.

    Bars carry their 95 % intervals; what was not measured has no bar.
    """
    rows = rows_to_show(report)
    figure, axes = new_figure(
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
        text = f"{value:.2f}".removeprefix("0")
        axes.text(x, top + 0.015, text, ha="center", va="bottom", fontsize=8, color=INK)


def _label(row: RoundRow) -> str:
    decision = "" if row.decision in ("", "base", "baseline") else f"\n{row.decision}"
    return f"round {row.round}\n{row.adapter}{decision}"
