"""The reliability diagram: the share that is right by how sure the answer was."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.judging.reliability import Bin, calibration_error
from trainer.plot_style import COLORS, GRID, INK, new_figure, save

LARGEST_MARKER, SMALLEST_MARKER = 260.0, 12.0  # areas, in square points


def plot_reliability(arms: Mapping[str, Sequence[Bin]], path: Path) -> Path:
    """Draw the bins of each arm, by its name, into the PNG file `path`.

    On the diagonal an answer is right as often as it is sure. The area of a point is its bin's
    share of the arm's suggestions; the legend has the expected calibration error.
    """
    figure, axes = new_figure("How sure, and how often right", 5.6, 6.0)
    axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.5, zorder=1)
    for number, (name, bins) in enumerate(arms.items()):
        error = calibration_error(bins)
        if error is None:
            continue
        color = COLORS[number % len(COLORS)]
        count = sum(entry.count for entry in bins)
        sure, right = [b.confidence for b in bins], [b.right for b in bins]
        areas = [max(SMALLEST_MARKER, LARGEST_MARKER * b.count / count) for b in bins]
        axes.plot(sure, right, color=color, linewidth=1, alpha=0.6)
        axes.scatter(sure, right, s=areas, color=color, label=f"{name} (error {error:.3f})")
    axes.set_xlabel("confidence")
    axes.set_ylabel("share right, of what the catalog can judge")
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_aspect("equal")
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        legend = axes.legend(
            frameon=False,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.12),
            ncols=2,
            fontsize=8,
            labelcolor=INK,
        )
        for handle in legend.legend_handles:
            handle.set_sizes([30.0])
    return save(figure, path)
