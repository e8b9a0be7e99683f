"""The pictures of an experiment's report. Imported only where one is drawn."""

from pathlib import Path

from infra.arms.sheets import SHORT
from streams.arms.report import ArmsReport
from trainer.plot_style import COLORS, INK, new_figure, save


def plot_path(report: ArmsReport, measure: str, path: Path) -> Path:
    """A measure of each arm as its sellers came, with its sequence, into the PNG file `path`."""
    name = SHORT[measure]
    figure, axes = new_figure(f"{report.experiment}: {name}, with 95 % sequences", 8.0, 4.2)
    for row, color in zip(report.rows, COLORS * len(report.rows), strict=False):
        points = row.paths.get(measure)
        if not points:
            continue
        sellers = [point.sellers for point in points]
        axes.fill_between(
            sellers,
            [point.low for point in points],
            [point.high for point in points],
            color=color,
            alpha=0.15,
            linewidth=0,
        )
        axes.plot(sellers, [point.value for point in points], color=color, label=row.arm)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xlabel("reviewed sellers of the arm")
    axes.set_ylabel(f"{name}, mean over sellers")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return save(figure, path)
