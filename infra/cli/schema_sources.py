"""`schema`: a schema file from Shopify's taxonomy, Google's, JSON Schema, ETIM or GS1."""

from collections import Counter
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from infra.catalogs.categories import categories_in
from infra.cli.output import console
from schemas.errors import SchemaError
from schemas.sources.building import Built, build, write_built
from schemas.sources.definitions.reader import read_definitions
from schemas.sources.etim import read_etim
from schemas.sources.google import read_google
from schemas.sources.gs1 import read_gs1
from schemas.sources.selecting import Selection, all_of, named, used_by
from schemas.sources.shopify_source import read_shopify
from schemas.sources.source import Source

SHOWN_REASONS = 30
SHOWN_UNKNOWN = 20

OUT = typer.Option(Path("schema.json"), help="the schema file to write")
CATALOG = typer.Option(None, help="only the categories that the products of this catalog have")
CATEGORY = typer.Option(
    None, help="only this category and all below it, by full name, last name or id; repeatable"
)


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    schema = typer.Typer(
        no_args_is_help=True,
        help="Make a schema file of a public taxonomy or of a marketplace's own definitions.",
        epilog="Example: `listune schema shopify product-taxonomy/data --catalog products.jsonl`",
    )
    schema.command(
        epilog="Examples: `listune schema shopify product-taxonomy/data --catalog products.jsonl` "
        "· `listune schema shopify product-taxonomy/data --category hg-11 --locale de`"
    )(shopify)
    schema.command(
        epilog="Example: `listune schema google taxonomy-with-ids.de-DE.txt --category 166`"
    )(google)
    schema.command(
        "json-schema",
        epilog="Examples: `listune schema json-schema LUGGAGE.json` · "
        "`listune schema json-schema definitions/ --catalog products.jsonl`",
    )(json_schema)
    schema.command(
        epilog="Examples: `listune schema etim ETIM-10.0-CSV.zip --catalog products.jsonl` · "
        "`listune schema etim ixf.xml --category EC000066 --locale de-DE`"
    )(etim)
    schema.command(epilog="Example: `listune schema gs1 GPC.xml --catalog products.jsonl`")(gs1)
    app.add_typer(schema, name="schema")


def shopify(
    source: Path = typer.Argument(help="the `data` folder of Shopify's product taxonomy"),
    out: Path = OUT,
    catalog: Path | None = CATALOG,
    category: list[str] | None = CATEGORY,
    locale: str | None = typer.Option(
        None, help="the names of data/localizations, such as de; English without it"
    ),
    single: bool = typer.Option(False, help="an attribute takes one value; several without it"),
    mapping: list[Path] | None = typer.Option(
        None, help="a mapping of an earlier release, for categories' former names; repeatable"
    ),
) -> None:
    """Take categories and attributes from the Shopify product taxonomy."""
    _make(read_shopify(source, locale, not single, mapping or ()), out, catalog, category)


def google(
    source: Path = typer.Argument(help="Google's taxonomy-with-ids.LOCALE.txt"),
    out: Path = OUT,
    catalog: Path | None = CATALOG,
    category: list[str] | None = CATEGORY,
) -> None:
    """Take categories from Google's product taxonomy, attributes from the Merchant feed."""
    _make(read_google(source), out, catalog, category)


def json_schema(
    sources: list[Path] = typer.Argument(help="JSON Schema files of one category each, or folders"),
    out: Path = OUT,
    catalog: Path | None = CATALOG,
    category: list[str] | None = CATEGORY,
) -> None:
    """Take attributes from JSON Schema, such as Amazon's product type definitions."""
    _make(read_definitions(sources), out, catalog, category)


def etim(
    source: Path = typer.Argument(
        help="ETIM's CSV release (folder or zip), its IXF, or a BMEcat file with a classification"
    ),
    out: Path = OUT,
    catalog: Path | None = CATALOG,
    category: list[str] | None = CATEGORY,
    locale: str | None = typer.Option(None, help="the language of an IXF, such as de-DE"),
) -> None:
    """Take classes and features from ETIM, or from a BMEcat file."""
    _make(read_etim(source, locale), out, catalog, category)


def gs1(
    source: Path = typer.Argument(help="GS1's Global Product Classification, XML or JSON"),
    out: Path = OUT,
    catalog: Path | None = CATALOG,
    category: list[str] | None = CATEGORY,
) -> None:
    """Take bricks and their attributes from GS1's Global Product Classification."""
    _make(read_gs1(source), out, catalog, category)


def _make(source: Source, out: Path, catalog: Path | None, category: list[str] | None) -> None:
    """Select, build, write and tell; ends with code 1 where products have unknown categories."""
    if catalog is not None and category:
        raise SchemaError("--catalog and --category both select; give one of them")
    without = 0
    if catalog is not None:
        counts, without = categories_in(catalog)
        selection = used_by(source, counts)
    else:
        counts = Counter()
        selection = named(source, category) if category else all_of(source)
    if selection.unknown:
        _show_unknown(selection)
    if without:
        _say(f"{without:,} lines of {catalog} have no category")
    if not selection.categories:
        raise SchemaError(
            f"the source has none of the {len(counts):,} categories of {catalog}; write them as "
            "the source does, by the [categories] table of `listune import`"
        )
    built = build(selection, source.left_out)
    write_built(out, built)
    _show(built, out)
    if selection.unknown:
        raise typer.Exit(1)


def _show_unknown(selection: Selection) -> None:
    table = Table("category that is not there, or of which there are several", "nearest")
    table.add_column("products", justify="right")
    for one in selection.unknown[:SHOWN_UNKNOWN]:
        table.add_row(*map(Text, (one.name, " · ".join(one.nearest), f"{one.products:,}")))
    console.print(table)
    products = sum(one.products for one in selection.unknown)
    _say(
        f"{products:,} products are of {len(selection.unknown):,} categories that the source lacks;"
        " the schema has the others"
    )


def _show(built: Built, out: Path) -> None:
    left_out = built.left_out
    if left_out.counts:
        table = Table("left out or changed", "because it", "the first")
        table.add_column("times", justify="right")
        for (kind, reason), count in left_out.counts.most_common(SHOWN_REASONS):
            table.add_row(*map(Text, (kind, reason, left_out.first[kind, reason], f"{count:,}")))
        console.print(table)
        if len(left_out.counts) > SHOWN_REASONS:
            _say(f"{len(left_out.counts) - SHOWN_REASONS:,} more reasons, less frequent")
    types = Counter(m.attribute.type for one in built.categories for m in one.made)
    counted = ", ".join(f"{count:,} {kind}" for kind, count in types.most_common())
    table = Table("categories", "attributes", "values", "left out or changed")
    table.add_row(
        f"{len(built.categories):,}",
        f"{built.attributes:,}" + (f" ({counted})" if counted else ""),
        f"{built.values:,}",
        f"{left_out.counts.total():,}",
    )
    console.print(table)
    _say(f"the schema is in {out}")


def _say(line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
