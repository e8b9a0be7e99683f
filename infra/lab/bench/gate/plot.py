"""The picture of the gate's rates: promoted, by how much better the candidate truly is."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from infra.lab.bench.results import BenchResult
from trainer.plot_style import COLORS, DOTS_PER_INCH, GRID, INK


def draw(result: BenchResult, path: Path) -> Path:
    """Draw a line for each number of held-out listings into the PNG file `path`."""
    figure = Figure(figsize=(9, 4.2), layout=ConstrainedLayoutEngine(), facecolor="white")
    FigureCanvasAgg(figure)
    panels = (("promoted_at_first_look", "at the first look"), ("promoted", "at any look"))
    rows = [
        row
        for row in result.rows
        if row.settings.get("noise") == "usual" and "true_difference" in row.settings
    ]
    for place, (name, title) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, 2, place)
        for color, listings in zip(
            COLORS, sorted({int(row.settings["listings"] or 0) for row in rows}), strict=False
        ):
            own = [row for row in rows if row.settings["listings"] == listings]
            gains = [float(row.settings["true_difference"] or 0) for row in own]
            shares = [row.figure(name) or 0.0 for row in own]
            axes.plot(gains, shares, marker="o", color=color, label=f"{listings:,} listings")
        axes.set_title(f"promoted {title}", loc="left", fontsize=10, color=INK)
        axes.set_xlabel("true difference in net benefit, candidate - parent", color=INK)
        axes.set_ylim(-0.02, 1.02)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.grid(color=GRID, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    title = f"The gate's rates, {result.date}, commit {result.commit}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path
