"""`request` and `review`: one listing by hand, as a listing service and a seller would send it."""

import json
from pathlib import Path

import typer
from rich.table import Table

from infra.cli.output import console
from infra.settings import active_settings
from schemas.decoding import decode
from schemas.errors import ListuneError
from schemas.events import ListingPrediction, new_id
from schemas.sources.json_schema import read_schemas
from schemas.values import format_answer, parse_answer, problem
from streams.producer import ListuneClient


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.command(
        epilog='Example: `listune request --category "Desk Lamps" --title "Brass lamp" '
        "--out lamp.json`"
    )(request)
    app.command(epilog='Example: `listune review lamp.json --set "Colour=brass"`')(review)


def request(
    category: str = typer.Option(help="a category of the running stack's schemas"),
    title: str = typer.Option("", help="the product's title"),
    description: str = typer.Option("", help="the product's description"),
    image: list[str] = typer.Option([], help="a picture's URI, as `serving.looking` allows it"),
    listing_id: str = typer.Option("", help="the listing's identity; empty makes a new one"),
    seller: str | None = typer.Option(None, help="the seller's identity"),
    timeout: float = typer.Option(60.0, help="seconds to wait for the prediction"),
    out: Path | None = typer.Option(None, help="keep the prediction here, for `listune review`"),
) -> None:
    """Ask for the attribute values of one product and show them."""
    streams = active_settings().streams
    with ListuneClient(streams, read_schemas(streams.schema_path)) as client:
        prediction = client.predict(
            category=category,
            title=title,
            description=description,
            images=image,
            listing_id=listing_id or new_id(),
            seller_id=seller,
            timeout_s=timeout,
        )
    show(prediction)
    if out is not None:
        out.write_bytes(prediction.to_bytes())
        console.print(f"kept in {out}")


def review(
    prediction_file: Path = typer.Argument(help="a file that `listune request --out` wrote"),
    change: list[str] = typer.Option([], "--set", help="`attribute=value`; an empty value clears"),
) -> None:
    """Submit a listing: all suggestions as they stand, but for the changes given."""
    if not prediction_file.is_file():
        raise ListuneError(f"there is no {prediction_file}; make it with `listune request --out`")
    prediction = decode(ListingPrediction, prediction_file.read_bytes())
    streams = active_settings().streams
    schemas = read_schemas(streams.schema_path)
    submitted = {name: list(values) for name, values in prediction.values.items()}
    for entry in change:
        name, equals, line = entry.partition("=")
        schema = schemas.find(prediction.category)
        attribute = schema.find(name.strip()) if schema else None
        if not equals or attribute is None:
            raise ListuneError(f"--set {entry!r}: write attribute=value, with a known attribute")
        values = parse_answer(attribute, line)
        if (reason := problem(attribute, values)) is not None:
            raise ListuneError(f"--set {entry!r}: {reason}")
        submitted[attribute.name] = values
    with ListuneClient(streams, schemas) as client:
        sent = client.review(prediction, shown=prediction.values, submitted=submitted)
        client.flush(10.0)
    console.print(f"review {sent.review_id} of listing {sent.listing_id} is submitted")


def show(prediction: ListingPrediction) -> None:
    """Print a prediction as a table that lines up."""
    title = f"{prediction.status} by {prediction.adapter_id} in {prediction.latency_ms:.0f} ms"
    table = Table("attribute", "suggestion", "confidence", title=title)
    for name in prediction.requested:
        text = format_answer(prediction.values.get(name, []))
        if name in prediction.invalid:
            text = f"[dim]not allowed: {json.dumps(prediction.invalid[name])}[/]"
        confidence = prediction.confidence.get(name)
        table.add_row(name, text, "" if confidence is None else f"{confidence:.2f}")
    console.print(table)
    for note in prediction.notes:
        console.print(note, highlight=False, markup=False)
    if prediction.missing_required:
        named = ", ".join(prediction.missing_required)
        console.print(f"required, and without a value: {named}", highlight=False)
    if prediction.error:
        console.print(f"[red]{prediction.error}[/]")
