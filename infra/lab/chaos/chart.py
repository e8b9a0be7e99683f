"""The picture of a run: how long each seller waited, and what was killed when."""

from pathlib import Path

from infra.lab.chaos.audit import Audit
from infra.lab.chaos.result import Shooting
from trainer.plot_style import COLORS, INK, new_figure, save

SHORTEST_S = 0.01


def draw(shot: Shooting, found: Audit, title: str, path: Path) -> Path:
    """Draw every answer by the minute in which it was asked for into the PNG file `path`."""
    figure, axes = new_figure(title, 12, 4.2)
    began = min((at for at, _ in found.waits), default=0)
    minutes = [(at - began) / 60_000 for at, _ in found.waits]
    waits = [max(seconds, SHORTEST_S) for _, seconds in found.waits]
    axes.scatter(minutes, waits, s=5, color=INK, alpha=0.6, label="an answer", zorder=3)
    for victim, color in zip(shot.victims, COLORS, strict=False):
        kills = [(k.at_ms - began) / 60_000 for k in shot.killed if k.kill.victim == victim]
        for n, minute in enumerate(kills):
            name = f"{victim} is killed" if n == 0 else None
            axes.axvline(minute, color=color, linewidth=1.2, alpha=0.8, label=name)
    axes.set_yscale("log")
    axes.set_ylabel("seconds until the answer", color=INK)
    axes.set_xlabel("minutes", color=INK)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    return save(figure, path)
