"""`schemas`: the category schemas with their hashes, and what a new file of them would change."""

import json
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from infra.cli.output import console
from infra.settings import (
    RUNS,
    SettingsError,
    active_settings,
    load_settings,
    read_settings,
    settings_here,
)
from schemas.changes import Kind
from schemas.sources.json_schema import read_schemas
from streams.pool.losses import Loss, losses
from streams.replay.live_pool import ask_live
from streams.settings import StreamsSettings

HINT = (
    "What was only renamed keeps its values if the new one names the former in `aliases`; "
    "what is lost comes back with them, or with the former file."
)


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    schemas = typer.Typer(
        epilog="Examples: `listune schemas --json` · `listune schemas check schema.new.json`"
    )
    schemas.callback(invoke_without_command=True)(show)
    schemas.command(epilog="Example: `listune schemas check schema.new.json`")(check)
    app.add_typer(schemas, name="schemas")


def show(
    context: typer.Context,
    as_json: bool = typer.Option(False, "--json", help="as a JSON object, for machines"),
    path: Path | None = typer.Option(
        None, "--schema", help="a schema file; else the one that the settings name"
    ),
) -> None:
    """List the categories with their attributes and the hash that events carry.

    No server is asked.
    """
    if context.invoked_subcommand is not None:
        return
    found = read_schemas(path or settings_here().streams.schema_path)
    if as_json:
        content = {
            category: {"hash": schema.hash, "attributes": [a.name for a in schema.attributes]}
            for category, schema in found.items()
        }
        typer.echo(json.dumps(content, ensure_ascii=False, indent=1))
        return
    table = Table("category", "attributes", "hash")
    for column in table.columns:
        column.overflow = "fold"  # a hash that is cut is no hash
    for category, schema in found.items():
        names = ", ".join(a.name for a in schema.attributes)
        table.add_row(*map(Text, (category, names, schema.hash)))
    console.print(table)


def check(
    new: Path = typer.Argument(help="the file that is to replace the one in force"),
) -> None:
    """Say what is gone, renamed or new in a schema file, and what the pool would lose by it.

    Nothing is changed. Ends with code 1 where values would be lost.
    """
    streams = stack_settings()
    before, after = read_schemas(streams.schema_path), read_schemas(new)
    ask = ask_live(streams)
    found = losses(ask or (lambda _: ()), before, after)
    if ask is None:
        console.print("there is no pool yet: nothing can be lost", highlight=False)
    if not found:
        console.print(f"{new} says the same as {streams.schema_path}", highlight=False)
        return
    console.print(_table(found))
    lost = sum(one.values for one in found)
    if lost:
        console.print(f"{lost} values would be lost. {HINT}", highlight=False)
        raise typer.Exit(1)


def stack_settings() -> StreamsSettings:
    """Of the stack that is up, of the one that was up here last, or this process's own.

    Unlike steering, to look is safe whatever stack it is.
    """
    last = RUNS / "local" / "settings.json"
    try:
        return active_settings().streams
    except SettingsError:
        return (read_settings(last) if last.is_file() else load_settings()).streams


def _table(found: list[Loss]) -> Table:
    table = Table("category", "attribute", "change", "before")
    for column in ("values lost", "listings lost"):
        table.add_column(column, justify="right")
    for loss in found:
        category, attribute = loss.change.place
        before = ""
        if loss.change.kind is Kind.RENAMED and loss.change.before:
            before = loss.change.before[1] or loss.change.before[0]
        counts = (str(n) if n else "" for n in (loss.values, loss.listings))
        table.add_row(category, attribute or "", loss.change.kind, before, *counts)
    return table
