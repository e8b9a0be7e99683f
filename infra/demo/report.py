"""What a run did, as data, as console tables, as pictures and as one page.

`RunReport` is the input; `write_report` lays beside each other

    report.json    the report itself; `rounds` starts with round 0, the base
    loss.png       training loss by step, a line a round
    metrics.png    net benefit and shares (with 95 % intervals) and acceptance by round
    report.html    all of it on one page that opens without a network

`print_report` is the same for a terminal of 80 columns or more; `headline` is the run in a
sentence.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel, ConfigDict
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

TEMPLATE = Path(__file__).with_name("template.html")
BLANK = "–"
POOL_ROWS = 12

MEASURED = ("net_benefit", "completeness", "recall", "precision", "correct_completeness")
"""What is judged, each a field of `RoundRow` beside one `<name>_interval`."""

Interval95 = tuple[float, float]


class RoundRow(BaseModel):
    """One adapter: what became of it, and what the judge measured.

    What is in `MEASURED` is of the held-out listings that arrived, the same for all rows, None
    where nothing was measured; shares are 0 to 1. What the gate says rests on the held-out
    listings that it had. Acceptance and latency are of the live listings that the adapter answered.
    """

    model_config = ConfigDict(extra="forbid")

    round: int  # 0 is the base
    adapter: str
    parent: str | None = None
    decision: str
    reason: str | None = None  # why it was decided so, one sentence
    look: int | None = None  # at which the gate decided
    gate_listings: int | None = None  # held-out listings that it decided on
    forgetting: str | None = None  # parent → adapter on listings of earlier rounds
    net_benefit: float | None = None  # (right - cost x wrong) / values that the catalog has
    net_benefit_interval: Interval95 | None = None
    over_base: float | None = None  # net benefit minus the base's
    over_base_bounds: Interval95 | None = None
    completeness: float | None = None
    completeness_interval: Interval95 | None = None
    recall: float | None = None  # right / values that the catalog has
    recall_interval: Interval95 | None = None
    precision: float | None = None  # right / those of them that were also suggested
    precision_interval: Interval95 | None = None
    correct_completeness: float | None = None
    correct_completeness_interval: Interval95 | None = None
    acceptance: float | None = None  # accepted unchanged / suggested
    p50_ms: float | None = None
    p90_ms: float | None = None
    pool_size: int | None = None
    train_seconds: float | None = None
    eval_seconds: float | None = None  # of the judging that all rows share


class LossPoint(BaseModel):
    """The mean training loss of one optimizer step, nats a token."""

    step: int
    loss: float


class PoolPoint(BaseModel):
    """How many samples the pool held, so many seconds after the start."""

    seconds: float
    samples: int


class ChangedValue(BaseModel):
    """A held-out attribute that base and best candidate answer differently; "" is blank."""

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
    heldout: int | None = None  # listings that all were judged on
    seconds: float  # from start to report
    settings: dict[str, Any] = {}


class RunReport(BaseModel):
    """A whole run."""

    run: RunInfo
    rounds: list[RoundRow]
    baselines: list[RoundRow] = []  # the base with a worked example
    serves: str = "base"  # the adapter that answers in the end
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


def print_report(report: RunReport, console: Console) -> None:
    """The tables, what the gate said, and the headline."""
    for part in (_figures_table(report), _costs_table(report), *gate_lines(report)):
        console.print(part, highlight=False)
    if note := example_note(report):
        console.print(note, highlight=False)
    console.print(Text(headline(report), style="bold"))


def headline(report: RunReport) -> str:
    """What the best candidate is worth beside the base, and whether it serves."""
    base, best = report.rounds[0], best_candidate(report)
    if best is None:
        worth = number(base.net_benefit)
        return f"No round brought a candidate: {report.serves} serves, net benefit {worth}"
    moved = f"Net benefit {number(base.net_benefit)} → {number(best.net_benefit)}"
    if best.adapter == report.serves:
        return f"{moved} ({base.adapter} → {best.adapter}, which serves)"
    return f"{moved} ({base.adapter} → {best.adapter}, which does not serve: {_why(report, best)})"


def best_candidate(report: RunReport) -> RoundRow | None:
    """The round's adapter with the highest net benefit; None where no round's was judged."""
    judged = [row for row in report.rounds[1:] if row.net_benefit is not None]
    return max(judged, key=lambda row: row.net_benefit or 0.0, default=None)


def example_note(report: RunReport) -> str | None:
    """A sentence where a worked example does more for the base than all rounds; else None."""
    best = best_candidate(report)
    for row in report.baselines:
        if best and (row.net_benefit or 0.0) > (best.net_benefit or 0.0):
            return (
                "The base with a worked example in its prompt does better than every round: net "
                f"benefit {number(row.net_benefit)}, the best round {number(best.net_benefit)}."
            )
    return None


def gate_lines(report: RunReport) -> Iterator[str]:
    """What was decided of each round, at which look, on how many listings, and why."""
    for row in report.rounds[1:]:
        where = (
            f" at look {row.look} on {row.gate_listings} held-out listings"
            if row.look and row.gate_listings
            else ""
        )
        why = f": {row.reason}" if row.reason else ""
        yield f"round {row.round}: {row.decision}{where}{why}"


def rows_to_show(report: RunReport) -> list[RoundRow]:
    """The base, the other baselines, the rounds."""
    return [*report.rounds[:1], *report.baselines, *report.rounds[1:]]


def label(row: RoundRow) -> str:
    """What a row goes by where there is no room for an adapter's id."""
    return f"round {row.round}" if row.round else row.adapter


def number(value: float | None) -> str:
    """A net benefit or a share as it is shown: `0.82`, `−0.05`, or a dash."""
    # What rounds to nothing has no sign.
    return BLANK if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def interval(bounds: Interval95 | None, between: str | None = None) -> str:
    """An interval as it is shown: `0.78–0.86`, `−0.05 to 0.11`, or nothing."""
    if bounds is None:
        return ""
    dash = "–" if bounds[0] >= 0 else " to "
    return (between or dash).join(map(number, bounds))


def milliseconds(value: float | None) -> str:
    """Milliseconds as seconds, `1.2 s`, or a dash."""
    return BLANK if value is None else f"{value / 1000:.1f} s"


def seconds(value: float | None) -> str:
    """Whole seconds, `94 s`, or a dash."""
    return BLANK if value is None else f"{value:,.0f} s"


def count(value: int | None) -> str:
    """A number of things, `1,066`, or a dash."""
    return BLANK if value is None else f"{value:,}"


def duration(value: float) -> str:
    """Minutes and seconds, `6 min 11 s`."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


_STYLES = {"promoted": "green", "rejected": "red", "failed": "red", "challenger": "yellow"}


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


def _why(report: RunReport, row: RoundRow) -> str:
    """Why the adapter of `row` does not serve."""
    reason = f": {row.reason}" if row.reason else ""
    match row.decision:
        case "promoted":
            return f"{report.serves} serves after it"
        case "challenger":
            return f"the gate keeps it as challenger{reason}"
        case "rejected":
            return f"the gate rejected it{reason}"
    return f"{row.decision}{reason}"


def _below(first: str, second: str) -> Text:
    return Text(first) + Text(f"\n{second}" if second else "", style="dim")


def _page(report: RunReport, pictures: list[Path]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "number": number,
        "count": count,
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
        headline=headline(report),
        gate_lines=list(gate_lines(report)),
        example_note=example_note(report),
        measured={name: name.replace("_", " ") for name in MEASURED},
        first=report.rounds[0],
        best=best_candidate(report),
        settings=_flat(report.run.settings),
        longest=max(report.timings.values(), default=1.0) or 1.0,
    )


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
