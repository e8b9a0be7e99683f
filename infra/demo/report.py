"""What a run did, as console tables, as pictures and as one page.

`write_report` lays beside each other

    report.json    the report itself; `rounds` starts with round 0, the base
    loss.png       training loss by step, a line a round
    metrics.png    net benefit and shares (with 95 % intervals) and acceptance by round
    arms/          of an A/B run: its tables, pictures and figures
    report.html    all of it on one page that opens without a network

`print_report` is the same for a terminal of 80 columns or more.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.arms.files import write_report as write_arms
from infra.arms.sheets import Sheet, rich_table, said, sheets
from infra.demo.rows import (
    MEASURED,
    InputsRow,
    PoolPoint,
    RunReport,
    best_candidate,
    rows_to_show,
)
from infra.demo.wording import (
    count,
    duration,
    example_note,
    gate_lines,
    headline,
    interval,
    label,
    milliseconds,
    number,
    seconds,
)
from infra.page import embedded, render

TEMPLATE = Path(__file__).with_name("template.html")
FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "count": count,
    "interval": interval,
    "milliseconds": milliseconds,
    "seconds": seconds,
    "duration": duration,
}
POOL_ROWS = 12
INPUTS_MEASURED = ("net benefit", "completeness")
_STYLES = {"promoted": "green", "rejected": "red", "failed": "red", "challenger": "yellow"}


def write_report(report: RunReport, folder: Path) -> list[Path]:
    """Write the report's files into `folder`; returns their paths, report.html last."""
    # Drawing takes a second to import, which the commands without a picture should not pay.
    from infra.demo.plots import plot_losses, plot_metrics

    data, page = folder / "report.json", folder / "report.html"
    data.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    pictures = [plot_metrics(report, folder / "metrics.png")]
    if report.losses:
        pictures.append(plot_losses(report, folder / "loss.png"))
    if report.arms:
        write_arms(report.arms, folder / "arms", report.run.commit)
        pictures += sorted((folder / "arms").glob("*.png"))
    page.write_text(_page(report, pictures), encoding="utf-8")
    return [data, *pictures, page]


def print_report(report: RunReport, console: Console) -> None:
    """The tables, what the gate said, and the headline."""
    arms = [*map(rich_table, sheets(report.arms)), *said(report.arms)] if report.arms else []
    inputs = map(rich_table, inputs_sheets(report))
    for part in (_figures_table(report), *inputs, _costs_table(report), *gate_lines(report), *arms):
        console.print(part, highlight=False)
    if note := example_note(report):
        console.print(note, highlight=False)
    console.print(Text(headline(report), style="bold"))


def inputs_sheets(report: RunReport) -> list[Sheet]:
    """Base and best candidate by what is seen of a listing, if that is not always the same."""
    if not report.by_inputs:
        return []
    best = best_candidate(report)
    shown = [report.rounds[0], *([best] if best else [])]
    of = {(row.inputs, row.adapter): row for row in report.by_inputs}
    rows = []
    for inputs in dict.fromkeys(row.inputs for row in report.by_inputs):
        own = [of[inputs, row.adapter] for row in shown]
        rows.append((inputs, count(own[0].listings), *(c for row in own for c in _by_inputs(row))))
    headings = [f"{label(row)}\n{name}" for row in shown for name in INPUTS_MEASURED]
    return [Sheet("By input", ("", "listings", *headings), rows, "Held-out listings, as above.")]


def _by_inputs(row: InputsRow) -> tuple[str, str]:
    return (
        f"{number(row.net_benefit)}\n{interval(row.net_benefit_interval)}",
        f"{number(row.completeness)}\n{interval(row.completeness_interval)}",
    )


def _figures_table(report: RunReport) -> Table:
    """What was measured of each row, below it its interval."""
    where = "generated catalog" if report.run.generated else report.run.catalog
    table = Table(
        title=f"Listune on {where}, seed {report.run.seed}",
        caption=f"all on the same {count(report.run.heldout)} held-out listings, with 95 % "
        "intervals",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    # "base, one example" folds between its words.
    table.add_column("")
    for name in MEASURED:
        heading = name.replace("_", "\n")
        table.add_column(heading, justify="right", no_wrap=True, vertical="top")
    for row in rows_to_show(report):
        shown = [(getattr(row, name), getattr(row, f"{name}_interval")) for name in MEASURED]
        figures = [_below(number(value), interval(bounds)) for value, bounds in shown]
        table.add_row(label(row), *figures)
    return table


def _costs_table(report: RunReport) -> Table:
    """What became of each row, and what it cost; below an adapter stands its parent."""
    table = Table(
        caption="acceptance and latency of live listings", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column("round", justify="right", no_wrap=True)
    table.add_column("adapter\nparent", overflow="fold")
    table.add_column("decision", no_wrap=True)
    for name in ("acceptance", "p50\np90", "pool", "train\neval"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows_to_show(report):
        table.add_row(
            str(row.round),
            _below(row.adapter, row.parent or ""),
            Text(row.decision, style=_STYLES.get(row.decision, "")),
            number(row.acceptance),
            _below(milliseconds(row.p50_ms), milliseconds(row.p90_ms)),
            count(row.pool_size),
            _below(seconds(row.train_seconds), seconds(row.eval_seconds)),
        )
    return table


def _below(first: str, second: str) -> Text:
    return Text(first) + Text(f"\n{second}" if second else "", style="dim")


def _page(report: RunReport, pictures: list[Path]) -> str:
    values = {
        "report": report,
        "run": report.run,
        "rows": rows_to_show(report),
        "images": {path.stem: embedded(path) for path in pictures},
        "pool": _thinned(report.pool_history),
        "headline": headline(report),
        "by_inputs": inputs_sheets(report),
        "sheets": sheets(report.arms) if report.arms else [],
        "arm_lines": said(report.arms) if report.arms else [],
        "gate_lines": list(gate_lines(report)),
        "example_note": example_note(report),
        "measured": {name: name.replace("_", " ") for name in MEASURED},
        "first": report.rounds[0],
        "best": best_candidate(report),
        "settings": _flat(report.run.settings),
        "longest": max(report.timings.values(), default=1.0) or 1.0,
    }
    return render(TEMPLATE, values, FILTERS)


def _thinned(points: list[PoolPoint]) -> list[PoolPoint]:
    """At most `POOL_ROWS` points, evenly over the run, with the last one."""
    step = max(1, -(-len(points) // POOL_ROWS))
    return points[::-1][::step][::-1]


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `room.name` to text."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = str(value)
    return flat
