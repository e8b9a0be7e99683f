"""`asyncapi`: what a producer in another language needs to know. No server is asked."""

import json
from pathlib import Path

import typer

from infra.settings import settings_here
from schemas.asyncapi import asyncapi_document
from schemas.errors import ListuneError


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.command(epilog="Example: `listune asyncapi --out asyncapi.json`")(asyncapi)


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
