"""`audit`: a sample of suggested values drawn, judged by people at the terminal, and reported."""

import json
import math
from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from infra.cli.audit_session import play
from infra.cli.keys import keys_here
from infra.cli.output import console
from infra.settings import RUNS, active_settings
from schemas.sources.json_schema import read_schemas
from streams.audit.errors import AuditError
from streams.audit.page import grids, markdown, summary
from streams.audit.record import (
    VerdictFile,
    auditors,
    check_name,
    keep_verdicts,
    read_verdicts,
    verdicts_path,
)
from streams.audit.report import make_report, read_completeness
from streams.audit.sampling import (
    SAMPLE_FILE,
    Ask,
    Sample,
    draw,
    read_sample,
    texts,
    write_sample,
)
from streams.sql.client import ask_writer, query

AUDITS = RUNS / "audits"
NAMED = "which audit; the newest if not given"


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    audit = typer.Typer(
        no_args_is_help=True,
        help="Judge a sample of the suggested values by hand; what it says of all of them.",
        epilog="Examples: `listune audit draw` · `listune audit start ann` · "
        "`listune audit report`",
    )
    audit.command(
        "draw",
        epilog="Examples: `listune audit draw` · `listune audit draw spring --size 300 --seed 1` · "
        "`listune audit draw week --since 2026-11-21` · "
        "`listune audit draw change --adapter base --adapter default-r2-a1-075054`",
    )(draw_audit)
    audit.command(
        "start",
        epilog="Examples: `listune audit start ann` · `listune audit start bo --share 0.3` · "
        "`listune audit start ann --audit spring`",
    )(start)
    audit.command(
        "report",
        epilog="Examples: `listune audit report` · `listune audit report --out runs/audit-report`",
    )(report)
    app.add_typer(audit, name="audit")


def draw_audit(
    name: str = typer.Argument("", help="the audit's name; today's date if not given"),
    size: int = typer.Option(200, min=2, help="suggested values to draw"),
    seed: int = typer.Option(7, help="of one seed and one pool the sample is the same"),
    adapter: list[str] = typer.Option(
        [], help="only this adapter's values; several times for equal shares of each"
    ),
    since: datetime | None = typer.Option(
        None, formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="only answers from this time on, UTC"
    ),
) -> None:
    """Draw suggested values to judge: by confidence, in proportion by category and attribute."""
    folder = AUDITS / check_name(name or date.today().isoformat(), "audit")
    if (folder / SAMPLE_FILE).exists():
        raise AuditError(
            f"there is an audit {folder.name!r} already; judge it with "
            f"`listune audit start YOUR-NAME --audit {folder.name}`, or give another name"
        )
    sample = draw(_ask(), folder.name, size, seed, list(dict.fromkeys(adapter)), since)
    write_sample(sample, folder)
    few = "" if len(sample.items) == size else f", all there are, fewer than the {size} asked for"
    console.print(
        f"Audit [bold]{folder.name}[/]: {len(sample.items)} of {sample.values:,} suggested values "
        f"are drawn{few}. Next: `listune audit start YOUR-NAME`",
        highlight=False,
    )


def start(
    auditor: str = typer.Argument(help="your name; your verdicts are kept under it"),
    audit: str = typer.Option("", help=NAMED),
    share: float = typer.Option(
        1.0, min=0.01, max=1.0, help="of the sample, such as for a second auditor"
    ),
) -> None:
    """Judge value by value, one key each; goes on where you stopped."""
    folder, ask = _folder(audit), _ask()
    path = verdicts_path(folder, auditor)
    sample = _without_forgotten(folder, ask, [auditor] if path.exists() else [])
    items = sample.items[: math.ceil(share * len(sample.items))]
    streams = active_settings().streams
    schemas = read_schemas(streams.schema_path)
    products = texts(partial(ask_writer, streams), items)
    with VerdictFile(folder, auditor) as file, keys_here() as keys:
        before = len(file.standing)
        done = play(items, products, schemas, file, auditor, keys, console)
        now = len(file.standing) - before
    gone = f" {done.gone} have no product in the pool any more." if done.gone else ""
    then = f"start {auditor}` goes on" if done.judged < done.of else "report` shows what they say"
    console.print(
        f"{done.judged} of {done.of} values are judged, {now} now.{gone} `listune audit {then}.",
        highlight=False,
    )


def report(
    audit: str = typer.Option("", help=NAMED),
    out: Path | None = typer.Option(None, help="also keep it in this folder: Markdown and JSON"),
) -> None:
    """Show how many suggested values are right, with intervals, and whether auditors agree."""
    folder, ask = _folder(audit), _ask()
    who = auditors(folder)
    sample = _without_forgotten(folder, ask, who)
    standing = {name: read_verdicts(verdicts_path(folder, name)) for name in who}
    made = make_report(sample, standing, read_completeness(ask))
    console.print(summary(made), highlight=False)
    for title, header, lines in grids(made):
        table = Table(*header, title=title, title_justify="left", box=box.SIMPLE_HEAD)
        table.columns[0].overflow = "fold"  # names that differ at their end
        for line in lines:
            table.add_row(*map(Text, line))  # as text: values must not be read as markup
        console.print(table)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        page = out / f"audit-{folder.name}.md"
        page.write_text(markdown(made), encoding="utf-8")
        content = json.dumps(made.to_dict(), indent=1, ensure_ascii=False)
        page.with_suffix(".json").write_text(content + "\n", encoding="utf-8")
        console.print(f"Report: [bold]{page}[/]", highlight=False, soft_wrap=True)


def _ask() -> Ask:
    return partial(query, active_settings().streams)


def _folder(audit: str) -> Path:
    """The audit's folder, or the newest one's."""
    if audit:
        return AUDITS / check_name(audit, "audit")
    drawn = sorted(AUDITS.glob(f"*/{SAMPLE_FILE}"), key=lambda path: path.stat().st_mtime_ns)
    if not drawn:
        raise AuditError("there is no audit yet; draw one with `listune audit draw`")
    return drawn[-1].parent


def _without_forgotten(folder: Path, ask: Ask, who: Sequence[str]) -> Sample:
    """The sample, out of which, and out of the verdicts of `who`, forgotten listings have gone."""
    known = read_sample(folder)
    sample = known.without({row[0] for row in ask("SELECT listing_sha256 FROM forgotten")[1]})
    if sample is not known:
        write_sample(sample, folder)
    for auditor in who:
        keep_verdicts(verdicts_path(folder, auditor), {item.key for item in sample.items})
    return sample
