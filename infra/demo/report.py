"""What a run did, as data, as a console table, as pictures and as one page.

`RunReport` is the input; `write_report` lays beside each other

    report.json    the report itself; `rounds` starts with round 0, the base
    loss.png       training loss by step, a line a round
    metrics.png    completeness, recall, precision (with 95 % intervals) and acceptance by round
    report.html    all of it on one page that opens without a network

`console_table` is the table for a terminal of 100 columns or more.
"""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel, ConfigDict
from rich import box
from rich.table import Table
from rich.text import Text

TEMPLATE = Path(__file__).with_name("template.html")
BLANK = "–"
POOL_ROWS = 12

Interval95 = tuple[float, float]


class RoundRow(BaseModel):
    """One adapter: what became of it, and what the judge measured on the held-out listings.

    Shares are 0 to 1, None where nothing was measured; acceptance and latency are of the live
    listings that this adapter answered.
    """

    model_config = ConfigDict(extra="forbid")

    round: int  # 0 is the base
    adapter: str
    parent: str | None = None
    decision: str
    reason: str | None = None  # why the gate decided so, one sentence
    forgetting: str | None = None  # parent → adapter on listings of earlier rounds
    completeness: float | None = None
    completeness_interval: Interval95 | None = None
    recall: float | None = None  # right / values that the catalog has
    recall_interval: Interval95 | None = None
    precision: float | None = None  # right / those of them that were also suggested
    precision_interval: Interval95 | None = None
    acceptance: float | None = None  # accepted unchanged / suggested
    p50_ms: float | None = None
    p90_ms: float | None = None
    pool_size: int | None = None
    train_seconds: float | None = None
    eval_seconds: float | None = None


class LossPoint(BaseModel):
    """The mean training loss of one optimizer step, nats a token."""

    step: int
    loss: float


class PoolPoint(BaseModel):
    """How many samples the pool held, so many seconds after the start."""

    seconds: float
    samples: int


class ChangedValue(BaseModel):
    """A held-out attribute that the base and the last adapter answer differently; "" is blank."""

    listing: str  # its title
    attribute: str
    base: str
    new: str
    truth: str
    right: bool


class RunInfo(BaseModel):
    """Where, on what and with which settings a run was made."""

    started: str  # local time, ISO 8601
    machine: str
    commit: str
    seed: int
    catalog: str
    generated: bool
    categories: int | None = None
    heldout: int | None = None  # listings that the judge measured on
    seconds: float  # from start to report
    settings: dict[str, Any] = {}


class RunReport(BaseModel):
    """A whole run."""

    run: RunInfo
    rounds: list[RoundRow]
    baselines: list[RoundRow] = []  # the base again, and the base with a worked example
    losses: dict[int, list[LossPoint]] = {}
    pool_history: list[PoolPoint] = []
    samples: list[ChangedValue] = []
    timings: dict[str, float] = {}  # stage to seconds, in order


def write_report(report: RunReport, folder: Path) -> list[Path]:
    """Write the report's files into `folder`; returns their paths, report.html last."""
    # Drawing takes a second to import, which the commands without a picture should not pay.
    from infra.demo.plots import plot_losses, plot_metrics

    data, page = folder / "report.json", folder / "report.html"
    data.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    pictures = [plot_metrics(report, folder / "metrics.png")]
    if report.losses:
        pictures.append(plot_losses(report, folder / "loss.png"))
    page.write_text(_page(report, pictures), encoding="utf-8")
    return [data, *pictures, page]


def console_table(report: RunReport) -> Table:
    """The rounds and baselines, fit for 100 columns.

    Below an adapter stands its parent, below a share its interval.
    """
    where = "generated catalog" if report.run.generated else report.run.catalog
    table = Table(
        title=f"Listune on {where}, seed {report.run.seed}",
        caption="held-out shares with 95 % intervals; acceptance and latency of live listings",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("round", justify="right", no_wrap=True)
    for name in ("adapter\nparent", "decision"):
        table.add_column(name, no_wrap=True)
    shares = [f"{name}\n95 %" for name in ("complete", "recall", "precision")]
    for name in (*shares, "accept", "p50\np90", "pool", "train\neval"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows_to_show(report):
        table.add_row(
            str(row.round),
            _below(row.adapter, row.parent or ""),
            Text(row.decision, style=_STYLES.get(row.decision, "")),
            _shown(row.completeness, row.completeness_interval),
            _shown(row.recall, row.recall_interval),
            _shown(row.precision, row.precision_interval),
            share(row.acceptance),
            _below(milliseconds(row.p50_ms), milliseconds(row.p90_ms)),
            BLANK if row.pool_size is None else str(row.pool_size),
            _below(seconds(row.train_seconds), seconds(row.eval_seconds)),
        )
    return table


def rows_to_show(report: RunReport) -> list[RoundRow]:
    """The rounds, with the baselines that are not among them after round 0."""
    known = {row.adapter for row in report.rounds}
    others = [row for row in report.baselines if row.adapter not in known]
    return [*report.rounds[:1], *others, *report.rounds[1:]]


def share(value: float | None) -> str:
    """A share as it stands in tables: `.82`, `1.00`, or a dash."""
    return BLANK if value is None else f"{value:.2f}".removeprefix("0")


def interval(bounds: Interval95 | None) -> str:
    """An interval as it stands in tables: `.78–.86`, or nothing."""
    return f"{share(bounds[0])}–{share(bounds[1])}" if bounds else ""


def milliseconds(value: float | None) -> str:
    """Milliseconds as seconds, `1.2 s`, or a dash."""
    return BLANK if value is None else f"{value / 1000:.1f} s"


def seconds(value: float | None) -> str:
    """Whole seconds, `94 s`, or a dash."""
    return BLANK if value is None else f"{value:.0f} s"


def duration(value: float) -> str:
    """Minutes and seconds, `6 min 11 s`."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


_STYLES = {"promoted": "green", "rejected": "red", "failed": "red", "inconclusive": "yellow"}


def _shown(value: float | None, bounds: Interval95 | None) -> Text:
    return _below(share(value), interval(bounds))


def _below(first: str, second: str) -> Text:
    return Text(first) + Text(f"\n{second}" if second else "", style="dim")


def _page(report: RunReport, pictures: list[Path]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "share": share,
        "interval": interval,
        "milliseconds": milliseconds,
        "seconds": seconds,
        "duration": duration,
    }
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    images = {
        path.stem: "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
        for path in pictures
    }
    return template.render(
        report=report,
        run=report.run,
        rows=rows_to_show(report),
        images=images,
        pool=_thinned(report.pool_history),
        first=report.rounds[0],
        last=_champion(report),
        settings=_flat(report.run.settings),
        longest=max(report.timings.values(), default=1.0) or 1.0,
    )


def _champion(report: RunReport) -> RoundRow:
    """The row of the adapter that serves in the end."""
    promoted = [row for row in report.rounds if row.decision == "promoted"]
    return promoted[-1] if promoted else report.rounds[0]


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
