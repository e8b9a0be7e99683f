"""The pictures of a check."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.checkup.report import AttributeCheck, CheckReport
from trainer.plot_style import COLORS, INK, new_figure, save

SHOWN = 30
LONGEST_NAME = 40


def plot_filled(report: CheckReport, path: Path) -> Path:
    """Filled and refused shares of the attributes that are asked for most, as PNG."""
    rows = sorted(report.attributes, key=lambda row: -row.products)[:SHOWN]
    figure, axes = _bars("Of the products that are asked: filled, and refused", rows)
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
        axes.plot(*zip(*capped, strict=True), "|", color=INK, markersize=9, label="cap")
    axes.set_xlabel(report.unit)
    _legend(axes)
    return save(figure, path)


def _bars(title: str, rows: Sequence[AttributeCheck]) -> tuple[Any, Any]:
    figure, axes = new_figure(title, 8.0, 1.6 + 0.26 * len(rows))
    names = [f"{row.category.rpartition(' > ')[2]}, {row.attribute}" for row in rows]
    axes.set_yticks(range(len(rows)), [name[-LONGEST_NAME:] for name in names])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    return figure, axes


def _legend(axes: Any) -> None:
    axes.legend(loc="lower right", frameon=True)
