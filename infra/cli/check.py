"""`check`: what a catalog and its schema could teach, and what to mend first."""

from pathlib import Path

import typer
from rich.text import Text

from infra.catalogs.catalog import read_products
from infra.catalogs.rejected_file import rejected_file, where_rejected
from infra.checkup.lengths import Lengths, base_vocabulary
from infra.checkup.measuring import Rejections, measure
from infra.checkup.page import write_check
from infra.checkup.tables import print_check
from infra.cli.output import console
from infra.settings import load_settings
from infra.stage import needs_of
from schemas.sources.json_schema import read_schemas


def register(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(
        epilog="Examples: `listune check products.jsonl --schema schema.json` · "
        "`listune check products.jsonl --schema schema.json --out check`"
    )(check)


def check(
    catalog: Path = typer.Argument(help="products, one JSON object a line"),
    schema: Path = typer.Option(help="the category schemas of that catalog, JSON"),
    alternatives: bool = typer.Option(
        False, help="several catalog values of one attribute are alternative spellings"
    ),
    strict: bool = typer.Option(False, help="the first wrong line stops it"),
    most_rejected: float | None = typer.Option(
        None, min=0, max=1, help="the share of lines that may be wrong; else demo.most_rejected"
    ),
    out: Path | None = typer.Option(None, help="a folder for report.json and report.html"),
) -> None:
    """Say what a catalog could teach: "ready", or what to mend first, worst first.

    Ends with code 1 where nothing could be learnt, or too many lines are wrong.
    """
    settings = load_settings()
    if most_rejected is not None:
        settings = settings.changed(demo={"most_rejected": most_rejected})
    schemas = read_schemas(schema, alternatives)
    rejections = Rejections()
    with rejected_file(catalog) as write:
        told = rejections.and_then(write)
        reading = read_products(catalog, schemas, alternatives, strict, told)
    lengths = Lengths(base_vocabulary(settings.local), settings.serving.max_answer_tokens)
    report = measure(reading, schema, schemas, rejections, lengths, needs_of(settings))
    for warning in report.warnings:
        console.print(Text(warning, style="yellow"))
    if reading.wrong or reading.refused:
        console.print(where_rejected(catalog), highlight=False, markup=False)
    if out is not None:
        for path in write_check(report, out):
            console.print(f"written to {path}", highlight=False, markup=False)
    print_check(report, console)
    if report.stop is not None:
        raise typer.Exit(1)
