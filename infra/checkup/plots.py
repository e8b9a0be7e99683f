"""The pictures of a check."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.checkup.report import AttributeCheck, CheckReport
from trainer.plot_style import COLORS, new_figure, save

SHOWN = 30
LONGEST_NAME = 40
_CAP: dict[str, Any] = {"color": COLORS[1], "markersize": 12, "markeredgewidth": 3, "label": "cap"}


def plot_filled(report: CheckReport, path: Path) -> Path:
    """Filled and refused shares of the attributes with the most refused values, then of those that
    are asked for most, as PNG."""
    rows = sorted(report.attributes, key=lambda row: (-row.refused, -row.products))[:SHOWN]
    figure, axes = _bars("Filled and refused values", rows)
    filled = [row.filled / (row.products or 1) for row in rows]
    refused = [row.refused / (row.products or 1) for row in rows]
    axes.barh(range(len(rows)), filled, color=COLORS[0], label="filled")
    axes.barh(range(len(rows)), refused, left=filled, color=COLORS[1], label="refused")
    axes.set_xlabel("share of products (0 to 1)")
    _legend(axes)
    return save(figure, path)


def plot_lengths(report: CheckReport, path: Path) -> Path:
    """The longest answer of an attribute, and its cap where tokens were counted, as PNG."""
    rows = sorted(report.attributes, key=lambda row: -row.longest)[:SHOWN]
    figure, axes = _bars("The longest answer of each attribute", rows)
    axes.barh(range(len(rows)), [row.longest for row in rows], color=COLORS[0], label="longest")
    capped = [(row.cap, place) for place, row in enumerate(rows) if row.cap is not None]
    if capped:
        axes.plot(*zip(*capped, strict=True), "|", **_CAP)
    axes.set_xlabel(report.unit)
    _legend(axes)
    return save(figure, path)


def _bars(title: str, rows: Sequence[AttributeCheck]) -> tuple[Any, Any]:
    figure, axes = new_figure(title, 8.0, 1.6 + 0.26 * len(rows))
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)  # the first on top
    axes.grid(visible=False, axis="y")
    return figure, axes


def _name(row: AttributeCheck) -> str:
    name = f"{row.category.rpartition(' > ')[2]}, {row.attribute}"
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


def _legend(axes: Any) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0), ncols=2, frameon=False, borderaxespad=4)
