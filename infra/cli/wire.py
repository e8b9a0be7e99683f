"""`schemas` and `asyncapi`: what a producer in another language needs to know.

No server is asked.
"""

import json
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from infra.cli.output import console
from infra.settings import settings_here
from schemas.asyncapi import asyncapi_document
from schemas.errors import ListuneError
from schemas.sources.json_schema import read_schemas


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.command(epilog="Examples: `listune schemas` · `listune schemas --json`")(schemas)
    app.command(epilog="Example: `listune asyncapi --out asyncapi.json`")(asyncapi)


def schemas(
    as_json: bool = typer.Option(False, "--json", help="as a JSON object, for machines"),
    path: Path | None = typer.Option(
        None, "--schema", help="a schema file; else the one that the settings name"
    ),
) -> None:
    """List the categories with their attributes and the hash that events carry."""
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


def asyncapi(
    out: Path | None = typer.Option(None, help="write it here; else it is printed"),
) -> None:
    """Write the AsyncAPI 3 document: topics, keys and the JSON Schema of each event."""
    document = asyncapi_document(settings_here().streams.prefix)
    text = json.dumps(document, ensure_ascii=False, indent=1)
    if out is None:
        typer.echo(text)
        return
    try:
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ListuneError(f"{out}: {error.strerror}; give a file that can be written") from error
