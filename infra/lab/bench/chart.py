"""The picture of a benchmark's result: a panel of bars for each figure, a bar for each arm."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullFormatter

from infra.lab.bench.results import BenchResult, cell
from trainer.plot_style import COLORS, DOTS_PER_INCH, GRID, INK

LABELS = {
    "p50_s": "seconds a listing, one at a time (median)",
    "listings_per_s": "listings/s",
    "products_per_s": "products/s",
    "events_per_s": "events/s of a backlog",
    "cpu_ms_per_event": "CPU ms an event",
    "peak_memory_mb": "peak memory, MB",
}
# The bar of our own arms stands out from the others'.
OURS = ("free", "constrained", "listune")


def draw(result: BenchResult, figures: Sequence[str], path: Path) -> Path:
    """Draw `figures` of all rows that have them into the PNG file `path`.

    The scale is logarithmic: arms differ by orders of magnitude.
    """
    rows = [row for row in result.rows if not row.not_run]
    height = 1.6 + 0.34 * max(1, len(rows))
    figure = Figure(
        figsize=(5.2 * len(figures), height), layout=ConstrainedLayoutEngine(), facecolor="white"
    )
    FigureCanvasAgg(figure)
    names = [row.name for row in rows]
    for panel, name in enumerate(figures, start=1):
        axes = figure.add_subplot(1, len(figures), panel)
        axes.set_title(LABELS.get(name, name), loc="left", fontsize=10, color=INK)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        values = [value for row in rows if (value := row.figure(name))]
        if values:  # the shortest bar is still a bar, and its figure has room behind the longest
            axes.set_xlim(min(values) / 3, max(values) * 3)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set_yticks(range(len(rows)), names if panel == 1 else [""] * len(rows), fontsize=8)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        for place, row in enumerate(rows):
            value = row.figure(name)
            if not value:
                continue
            color = COLORS[0] if row.settings.get("arm") in OURS else COLORS[4]
            axes.barh(place, value, 0.7, color=color)
            axes.text(value, place, f" {cell(value)}", va="center", fontsize=8, color=INK)
    title = f"{result.benchmark}, {result.date}, commit {result.commit}: {result.machine['cpu']}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path
