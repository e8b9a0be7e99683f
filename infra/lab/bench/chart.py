"""The picture of a benchmark's result: a panel of bars for each figure, a bar for each arm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullFormatter

from infra.lab.bench.publish import cell
from infra.lab.bench.results import ArmResult, BenchResult
from trainer.plot_style import COLORS, GRID, INK, save

LABELS = {
    "p50_s": "seconds a listing, one at a time (median)",
    "listings_per_s": "listings/s",
    "products_per_s": "products/s",
    "events_per_s": "events/s of a backlog",
    "cpu_ms_per_event": "CPU ms an event",
    "peak_memory_mb": "peak memory, MB",
    "cpu_p50_ms": "CPU ms to check and shrink, or refuse (median)",
    "memory_mb": "memory that it took, MB",
}
# The bar of our own arms stands out from the others'.
OURS = ("free", "constrained", "listune")


def draw_bars(result: BenchResult, figures: Sequence[str], path: Path) -> Path:
    """Draw `figures` of all rows that have them into the PNG file `path`.

    The scale is logarithmic: arms differ by orders of magnitude.
    """
    rows = [row for row in result.rows if not row.not_run]
    title = f"{result.benchmark}, {result.date}, commit {result.commit}: {result.machine['cpu']}"
    width, height = 5.2 * len(figures), 1.6 + 0.34 * max(1, len(rows))
    figure, panels = new_panels(title, [LABELS.get(name, name) for name in figures], width, height)
    names = [row.name for row in rows]
    for axes, name in zip(panels, figures, strict=True):
        axes.set_yticks(range(len(rows)), names if axes is panels[0] else [""] * len(rows))
        axes.tick_params(axis="y", labelsize=8)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        _draw_bars(axes, rows, name)
    return save(figure, path)


def _draw_bars(axes: Any, rows: Sequence[ArmResult], name: str) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    values = [row.figure(name) or 0.0 for row in rows]
    if any(values):  # the shortest bar is still a bar, and its figure has room behind the longest
        axes.set_xlim(min(filter(None, values)) / 3, max(values) * 3)
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        if value:
            color = COLORS[0] if row.settings.get("arm") in OURS else COLORS[4]
            axes.barh(place, value, 0.7, color=color)
            axes.text(value, place, f" {cell(value)}", va="center", fontsize=8, color=INK)


def new_panels(
    title: str, titles: Sequence[str], width: float, height: float
) -> tuple[Figure, list[Any]]:
    """A figure of `width` by `height` inches with a panel for each of `titles`, side by side."""
    figure = Figure((width, height), layout=ConstrainedLayoutEngine(), facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    panels = list(figure.subplots(1, len(titles), squeeze=False)[0])
    for axes, named in zip(panels, titles, strict=True):
        axes.set_title(named, loc="left", fontsize=10, color=INK)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels
