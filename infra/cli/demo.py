"""`demo`: the loop once through, two rounds, with a report at the end."""

from pathlib import Path

import typer
from rich.console import Console

from infra.demo import play
from infra.settings import Mix, SettingsError, load_settings

ARM_SELLERS = 240
"""Sellers of the A/B run, where the settings have none: some 80 an arm, who bound a mean to about a
tenth."""


def register(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(
        epilog="Examples: `listune demo` · `listune demo --seed 1` · `listune demo --arms` · "
        "`listune demo --catalog products.jsonl --schema schema.json`"
    )(demo)


def demo(
    catalog: Path | None = typer.Option(None, help="your products, one JSON object a line"),
    schema: Path | None = typer.Option(None, help="the category schemas of that catalog, JSON"),
    alternatives: bool = typer.Option(
        False, help="several catalog values of one attribute are alternative spellings"
    ),
    strict: bool = typer.Option(False, help="the first wrong line of the catalog stops it"),
    arms: bool = typer.Option(
        False, help="then an A/B run: champion, base with a worked example, and no suggestions"
    ),
    pictures: bool | None = typer.Option(
        None, "--pictures/--no-pictures", help="look at the images of the catalog's products"
    ),
    mix: Mix | None = typer.Option(
        None, help="paper: send of each product text, images or both, in the paper's shares"
    ),
    seed: int | None = typer.Option(None, help="seed of catalog, arrivals, sellers and training"),
) -> None:
    """Play a catalog through the whole loop and write a report under runs/."""
    if (catalog is None) != (schema is None):
        raise SettingsError("give --catalog and --schema together, or neither")
    settings = load_settings()
    chosen = {
        "catalog": catalog,
        "catalog_schema": schema,
        "pictures": pictures,
        "mix": mix,
        "seed": seed,
    }
    update = {name: value for name, value in chosen.items() if value is not None}
    update["alternatives"] = alternatives or settings.demo.alternatives
    update["strict"] = strict or settings.demo.strict
    if arms:
        update["arm_sellers"] = settings.demo.arm_sellers or ARM_SELLERS
    play.run(settings.changed(demo=update), Console())
