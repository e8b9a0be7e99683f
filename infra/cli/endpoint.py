"""`endpoint`: what the OpenAI-compatible endpoint of `serving.endpoint` makes of some listings."""

import time
from dataclasses import asdict
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from infra.catalogs.catalog import read_catalog
from infra.catalogs.generate import generate
from infra.cli.output import cell, console
from infra.lab.bench.results import ArmResult, BenchResult, begin
from infra.settings import SettingsError, settings_here
from schemas.sources.json_schema import read_schemas
from schemas.values import format_answer
from serving.endpoint.arm import EndpointArm
from serving.endpoint.check import Checked, Summary, check, summarise
from serving.generation import GenerationRequest
from serving.listing import Listing
from serving.settings import LiveEndpointSettings

SHOWN_CHARACTERS = 1000


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    endpoint = typer.Typer(
        help="The OpenAI-compatible endpoint that may answer in an experiment.",
        epilog="Example: `listune endpoint check --count 20`",
    )
    # With one command a group has no name for it, unless it has a callback.
    endpoint.callback()(lambda: None)
    endpoint.command(
        "check",
        epilog="Examples: `listune endpoint check` · `listune endpoint check --catalog "
        "products.jsonl --schema schemas.json --count 20`",
    )(check_endpoint)
    app.add_typer(endpoint, name="endpoint")


def check_endpoint(
    catalog: Path | None = typer.Option(None, help="JSONL of products; else generated ones"),
    schema: Path | None = typer.Option(None, help="JSON of category schemas for `--catalog`"),
    count: int = typer.Option(1, min=1, help="so many products, one after the other"),
    seed: int = typer.Option(7, help="of the generated products"),
    out: Path | None = typer.Option(None, help="folder for a page and its data"),
) -> None:
    """Ask serving.endpoint about products as if a seller waited: answers, tokens, cost, faults."""
    settings = settings_here()
    endpoint = settings.serving.endpoint
    if not endpoint.url:
        raise SettingsError(
            "no endpoint is set; set serving.endpoint.url and serving.endpoint.model, and put its "
            f"key into {endpoint.key_variable} where it needs one"
        )
    result = begin(f"endpoint-{endpoint.answer_format.replace('_', '-')}")
    arm = EndpointArm(endpoint, settings.serving.max_trunk_tokens)
    checked = []
    started = time.monotonic()
    for one in check(arm, _requests(catalog, schema, seed, count)):
        checked.append(one)
        if count == 1:
            _show(one)
        else:
            console.print(_line(one), highlight=False)
    summary = summarise(arm, checked)
    console.print(_table(summary))
    if out is not None:
        result.rows.append(_row(endpoint, summary, checked, time.monotonic() - started))
        console.print(f"written to {_write(result, summary, out)}", highlight=False)
    if not summary.usable:
        raise typer.Exit(1)


def _requests(
    catalog: Path | None, schema: Path | None, seed: int, count: int
) -> list[GenerationRequest]:
    if (catalog is None) != (schema is None):
        raise SettingsError("a catalog and its schema go together; give both or neither")
    if catalog is not None and schema is not None:
        schemas = read_schemas(schema)
        products, warnings = read_catalog(catalog, schemas)
        for warning in warnings:
            console.print(warning, highlight=False)
    else:
        schemas, products = generate(seed, count)
    return [
        GenerationRequest(
            Listing(p.product_id, p.category, p.title, p.description, p.images),
            p.attributes(schemas),
        )
        for p in products[:count]
    ]


def _show(one: Checked) -> None:
    """A whole answer, or what came in its place."""
    listing = one.request.listing
    # As text: what a stranger wrote must not be read as markup.
    console.print(Text(f"{listing.category}: {listing.title}\n{listing.description}\n"))
    if one.none is not None:
        console.print(Text(f"{one.none.reason}: {one.none}"))
        if one.none.text is not None:
            console.print(Text(f"It said: {one.none.text[:SHOWN_CHARACTERS]}"))
        return
    assert one.result is not None
    table = Table("attribute", "suggested", "refused by the schema")
    for attribute in one.request.attributes:
        values = format_answer(one.result.values.get(attribute.name, []))
        cells = (attribute.name, values, one.result.invalid.get(attribute.name, ""))
        table.add_row(*map(Text, cells))
    console.print(table)


def _line(one: Checked) -> Text:
    if one.result is None:
        return Text(f"{one.request.listing.listing_id}: {one.none}")
    result = one.result
    return Text(
        f"{one.request.listing.listing_id}: {len(result.values)} of "
        f"{len(one.request.attributes)} values, {len(result.invalid)} refused by the schema, "
        f"{one.seconds:.1f} s"
    )


def _table(summary: Summary) -> Table:
    table = Table("figure", "value")
    for name, value in _figures(summary).items():
        table.add_row(name, cell(value))
    for reason, number in sorted(summary.reasons.items()):
        table.add_row(f"unusable: {reason}", str(number))
    return table


def _figures(summary: Summary) -> dict[str, float | int | None]:
    figures = asdict(summary)
    del figures["reasons"]
    figures["usable_share"] = summary.usable / summary.listings
    return figures


def _row(
    endpoint: LiveEndpointSettings, summary: Summary, checked: list[Checked], seconds: float
) -> ArmResult:
    counted = {f"unusable_{reason}": number for reason, number in summary.reasons.items()}
    return ArmResult(
        name=f"endpoint:{endpoint.model}",
        settings={
            name: getattr(endpoint, name)
            for name in ("timeout_s", "patience_s", "attempts", "max_tokens", "answer_format")
        },
        figures=_figures(summary) | counted | {"seconds": seconds},
        raw={
            "usable_s": [one.seconds for one in checked if one.result is not None],
            "unusable_s": [one.seconds for one in checked if one.result is None],
        },
    )


def _write(result: BenchResult, summary: Summary, out: Path) -> Path:
    """The page and its data in `out`; the page's path."""
    row = result.rows[0]
    lines = [
        f"# {row.name}",
        "",
        f"{result.date}, commit {result.commit}, on {result.machine['cpu']} with "
        f"{result.machine['cores']} cores. `{result.command}`",
        "",
        ", ".join(f"{name} {value}" for name, value in row.settings.items()),
        "",
        "| figure | value |",
        "| --- | --- |",
        *(f"| {name} | {cell(value)} |" for name, value in row.figures.items()),
        "",
    ]
    out.mkdir(parents=True, exist_ok=True)
    page = out / f"{result.stem}.md"
    page.write_text("\n".join(lines), encoding="utf-8")
    page.with_suffix(".json").write_text(result.to_json(), encoding="utf-8")
    return page
