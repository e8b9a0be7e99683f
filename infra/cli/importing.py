"""`import`: a shop's export, a merchant feed or a PIM's dump as a catalog."""

from collections.abc import Iterator
from pathlib import Path

import typer
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from infra.cli.induced import show_induction
from infra.cli.output import console
from infra.importing.places import check_places
from infra.importing.run import ImportReport, Told, import_files
from infra.induction.counting import Entry
from infra.induction.files import products_in, write_schema
from infra.induction.induce import induce
from infra.progress import bar
from infra.settings import load_settings

SHOWN_REASONS = 20
TOLD_EVERY = 1_000


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.command(
        "import",
        epilog="Examples: `listune import export.csv` · "
        "`listune import export.csv --map map.toml --out products.jsonl --schema-out schema.json`",
    )(import_)


def import_(
    files: list[Path] = typer.Argument(
        help="CSV, TSV, JSON, JSONL, Parquet, Excel, XML feed or HTML; several of one kind; .gz too"
    ),
    map_path: Path | None = typer.Option(
        None, "--map", help="the map of the columns; without it one is guessed and written"
    ),
    out: Path = typer.Option(Path("products.jsonl"), help="the catalog to write"),
    schema_out: Path | None = typer.Option(
        None, "--schema-out", help="induce a schema from the catalog, and write it here"
    ),
    strict: bool = typer.Option(False, help="the first row or value that is left out stops it"),
    most_rejected: float | None = typer.Option(
        None, min=0, max=1, help="the share of rows that may be no product; else demo.most_rejected"
    ),
) -> None:
    """Make a catalog of a file of products: products.jsonl, what was rejected, and the map.

    What was guessed stands in map.toml beside the catalog, with a reason each. Edit it and give it
    back with --map: the same file and map give the same catalog.

    Ends with code 1 where too many rows are no product; all files are written nevertheless.
    """
    if most_rejected is None:
        most_rejected = load_settings().demo.most_rejected
    check_places(files, out, map_path, schema_out)
    with bar(console) as progress:
        told = _Bar(progress)
        report = import_files(files, out, map_path, told, strict)
        if schema_out is not None:
            induction = induce(lambda: _told_of(products_in(report.out), report.products, told))
            write_schema(schema_out, induction)
    _show(report)
    if schema_out is not None:
        show_induction(induction, schema_out)
    if report.rejected_rows > most_rejected * report.rows:
        console.print(
            f"{report.rejected_rows:,} of {report.rows:,} rows are no product, where at most "
            f"{most_rejected:.0%} may be; mend the file or the map, or raise --most-rejected",
            style="bold red",
            highlight=False,
        )
        raise typer.Exit(1)


def _told_of(products: Iterator[Entry], total: int, told: Told) -> Iterator[Entry]:
    for done, product in enumerate(products):
        if done % TOLD_EVERY == 0:
            told("inducing the schema", done, total)
        yield product
    told("inducing the schema", total, total)


class _Bar:
    """Shows how far the import is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._task is None:
            self._task = self._progress.add_task(what, total=None)
        self._progress.update(self._task, description=what, completed=done, total=total or None)


def _show(report: ImportReport) -> None:
    if report.reasons:
        table = Table("attribute", "left out because it", "the first")
        table.add_column("times", justify="right")
        for (attribute, reason), count in report.reasons.most_common(SHOWN_REASONS):
            first = report.examples[attribute, reason]
            where = f"{first.file}, line {first.line}"
            shown = f"{first.value!r} ({where})" if first.value else where
            named = attribute or "(the row)"
            table.add_row(*map(Text, (named, reason, shown, f"{count:,}")))
        console.print(table)
    for hint, count in report.hints.most_common(SHOWN_REASONS):
        console.print(f"{hint} ({count} times)", highlight=False, markup=False)
    say = [
        f"{report.products:,} products with {report.values:,} values of {report.rows:,} rows "
        f"are in {report.out}",
    ]
    if report.reasons:
        say.append(
            f"{report.reasons.total():,} rows and values that were left out: {report.rejected}"
        )
    if report.guessed:
        say += report.doubts
        say.append(
            f"{report.map_path} has what was guessed, and why; edit it and give it with "
            f"--map {report.map_path}"
        )
    for line in say:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
