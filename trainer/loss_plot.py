"""Training loss by optimizer step, one line a round (the paper's figure 3)."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from trainer.errors import DataError
from trainer.plot_style import COLORS, new_figure, save

Curve = Sequence[tuple[int, float]]
"""(step from 1, loss in nats a label token) of each step of one round."""

LOSSES = "losses.jsonl"
DASHES = ("-", "--", ":", "-.")
MOST_MARKED = 30


def read_losses(path: Path) -> Curve:
    """The curve in a round's `losses.jsonl`.

    Raises:
        DataError: the file is missing or is no loss log.
    """
    try:
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        return [(int(entry["step"]), float(entry["loss"])) for entry in entries]
    except OSError as error:
        raise DataError(f"the losses {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no loss log ({error}); give a round's losses.jsonl") from error


def read_rounds(work_dir: Path) -> dict[str, Curve]:
    """The curves of all rounds below `work_dir`, by the adapter's name, in the rounds' order.

    Raises:
        DataError: there is none, or a file is no loss log.
    """
    files = sorted(work_dir.glob(f"*/{LOSSES}"), key=lambda path: _counted(path.parent.name))
    if not files:
        raise DataError(f"no round has been trained in {work_dir}; set trainer.work_dir")
    return {path.parent.name: read_losses(path) for path in files}


def plot_losses(rounds: Mapping[str, Curve], path: Path) -> Path:
    """Draw each round's curve, by its name, into the PNG file `path`."""
    figure, axes = new_figure("Training loss of each round", 7.5, 4.2)
    for number, (name, curve) in enumerate(rounds.items()):
        steps, losses = [step for step, _ in curve], [loss for _, loss in curve]
        axes.plot(
            steps,
            losses,
            color=COLORS[number % len(COLORS)],
            linestyle=DASHES[number // len(COLORS) % len(DASHES)],
            # On a long round the markers would hide the line.
            marker="o" if len(curve) <= MOST_MARKED else None,
            markersize=3.5,
            label=name,
        )
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss on answer tokens (nats a token)")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if rounds:
        axes.legend(frameon=False)
    return save(figure, path)


def _counted(name: str) -> list[str | int]:
    """`name` as a sort key that has r2 before r10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
