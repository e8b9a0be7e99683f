"""How our pictures look. Drawn without pyplot, so there is no global state and no display.

Imported only where a picture is drawn: matplotlib is heavy.
"""

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Okabe and Ito's colours: told apart with any kind of colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, GRID = "#333333", "#DDDDDD"
DOTS_PER_INCH = 150


def new_figure(title: str, width: float, height: float) -> tuple[Figure, Any]:
    """A figure of `width` by `height` inches and its axes."""
    figure = Figure(
        figsize=(width, height),
        layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12),
        facecolor="white",
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=10)
    plain(axes)
    return figure, axes


def plain(axes: Any) -> None:
    """Horizontal lines behind what is drawn, and no frame."""
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(colors=INK)


def save(figure: Figure, path: Path) -> Path:
    """Write `figure` into the PNG file `path`, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path
