"""`drift`: what has changed on live traffic."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import typer
from rich.table import Table
from rich.text import Text

from infra.cli.output import console
from infra.cli.schema_changes import stack_settings
from schemas.errors import ListuneError
from streams.replay.live_pool import ask_live


def register(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(epilog="Examples: `listune drift` · `listune drift --out runs/drift`")(drift)


def drift(
    out: Path | None = typer.Option(None, help="a folder for drift.md and drift.png"),
) -> None:
    """Compare the newest hours of live traffic with those before: sizes of change, no tests.

    `noise` is the size that chance alone gives. Asks the live pool; nothing is changed.
    """
    # Imported here: it brings matplotlib, which the other commands do without.
    from infra.lab.drift_page import COLUMNS, Signal, cells, write

    streams = stack_settings()
    ask = ask_live(streams)
    if ask is None:
        raise ListuneError("there is no pool yet, and nothing to compare; see `listune up`")
    try:
        rows = ask(f"SELECT {', '.join(Signal.__dataclass_fields__)} FROM main.drift")
    except duckdb.CatalogException as error:
        raise ListuneError(
            "the pool is from before drift was measured; a worker that opens it adds the view"
        ) from error
    signals = [Signal(*row) for row in rows]
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        right = column not in ("signal", "remark")
        table.add_column(column, justify="right" if right else "left", no_wrap=right)
    for signal in signals:
        table.add_row(*map(Text, cells(signal)))
    console.print(table)
    if out is not None:
        hours = (
            f"{streams.drift.window_hours:g} h against {streams.drift.reference_hours:g} h before"
        )
        title = f"Drift of pool {streams.pool}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {hours}"
        console.print(f"{write(out, title, signals)}", highlight=False)
