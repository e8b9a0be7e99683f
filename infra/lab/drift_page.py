"""What the view `drift` says, as a page in Markdown and a picture of effects beside their noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.lab.bench.chart import new_panels
from trainer.plot_style import COLORS, GRID, INK, save

COLUMNS = ("signal", "before", "now", "effect", "noise", "n", "remark")


@dataclass(frozen=True)
class Signal:
    """A row of the view `drift`, in its units."""

    signal: str
    reference: float | None
    now: float | None
    effect: float | None
    noise: float | None
    n_reference: int
    n_now: int
    remark: str


def cells(signal: Signal) -> list[str]:
    """The row as it is shown, one cell for each of `COLUMNS`."""
    figures = (signal.reference, signal.now, signal.effect, signal.noise)
    n = f"{signal.n_reference}/{signal.n_now}"
    return [signal.signal, *map(_figure, figures), n, signal.remark]


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.3f}"


def write(folder: Path, title: str, signals: Sequence[Signal]) -> Path:
    """Writes `drift.md` and `drift.png` into `folder`; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = [list(COLUMNS), ["---"] * len(COLUMNS), *map(cells, signals)]
    lines = ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in grid]
    page = folder / "drift.md"
    page.write_text(
        f"# {title}\n\n![Effects beside their noise](drift.png)\n\n" + "\n".join(lines) + "\n",
        encoding="utf-8",
    )
    _draw(folder / "drift.png", title, signals)
    return page


def _draw(path: Path, title: str, signals: Sequence[Signal]) -> None:
    figure, (axes,) = new_panels(title, ["size of change; grey: what chance alone gives"], 8, 4)
    shown = [signal for signal in signals if signal.effect is not None]
    axes.set_yticks(range(len(shown)), [signal.signal for signal in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    for place, signal in enumerate(shown):
        noise = signal.noise or 0.0
        axes.barh(place, 2 * noise, 0.7, left=-noise, color=GRID)
        axes.barh(place, signal.effect, 0.3, color=COLORS[0])
    save(figure, path)
