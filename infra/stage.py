"""What a run plays with: a catalog's schemas and products, dealt out, and what the workers read.

The demo, the end-to-end tests and `listune chaos` set the same stage.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from infra.catalogs.catalog import CatalogError, Product, read_products
from infra.catalogs.generate import generate
from infra.catalogs.grouping import parted, stratified
from infra.catalogs.inputs import mixed
from infra.catalogs.reading import REFUSED
from infra.catalogs.rejected_file import rejected_file, where_rejected
from infra.checkup.learnable import why_not
from infra.settings import Mix, Settings
from schemas.category import CategorySchemas
from schemas.sources.json_schema import read_schemas, write_schemas

# The generated catalog has so many times what the waves should need, so that topping up has some.
SPARE = 2


@dataclass
class Stage:
    """What a run plays with."""

    schemas: CategorySchemas
    products: list[Product]  # in the order in which they arrive


def read_stage(settings: Settings, console: Console) -> Stage:
    """Read or generate the catalog; its products arrive with the categories dealt out evenly.

    Raises:
        ListuneError: a schema or catalog that cannot be used, with file and line, or a catalog
            that is too small for the rounds.
    """
    demo, share = settings.demo, settings.streams.heldout_share
    refused = ""
    if demo.catalog is None or demo.catalog_schema is None:
        schemas, products = generate(demo.seed, _to_generate(settings))
    else:
        schemas = read_schemas(demo.catalog_schema, alternatives=demo.alternatives)
        with rejected_file(demo.catalog) as told:
            reading = read_products(
                demo.catalog, schemas, demo.alternatives, demo.strict, told=told
            )
        for warning in reading.warnings:
            console.print(Text(warning, style="yellow"))
        if reading.wrong or reading.refused:
            console.print(where_rejected(demo.catalog), highlight=False, markup=False)
        reading.check(demo.most_rejected)
        products, refused = reading.products, reading.first.get(REFUSED, "")
    if not demo.pictures:
        products = [replace(product, images=()) for product in products]
    if demo.mix is Mix.PAPER:
        products = mixed(products)
    check_learnable(products, settings, refused)
    check_enough(products, settings)
    console.print(
        f"Catalog [bold]{demo.catalog or 'generated'}[/]: {len(schemas)} categories, "
        f"{len(products)} products; of those that arrive {share:.0%} are held out",
        highlight=False,
    )
    dealt = stratified([[product] for product in products], demo.seed)
    return Stage(schemas, [product for (product,) in dealt])


def with_pictures(stage: Stage, settings: Settings) -> Settings:
    """The settings under which what is on stage is seen: products with images have one looked at.

    Their files are below the catalog's folder. What the settings themselves say of `hosts` and
    `buckets`, and of more pictures a listing, holds.
    """
    demo, serving = settings.demo, settings.serving
    if not demo.pictures:
        return settings.changed(serving={"pictures": 0})
    if demo.catalog is None or not any(product.images for product in stage.products):
        return settings
    looking = serving.looking.model_copy(update={"root": demo.catalog.parent.absolute()})
    return settings.changed(serving={"pictures": max(1, serving.pictures), "looking": looking})


def _to_generate(settings: Settings) -> int:
    """How many products are enough for all waves, and for topping them up."""
    demo, streams = settings.demo, settings.streams
    share = streams.heldout_share
    a_round = max(demo.wave, streams.k / (1 - share), streams.heldout_least / share)
    in_arms = SPARE * demo.arm_sellers * demo.arm_listings
    return SPARE * math.ceil(demo.rounds * a_round) + demo.final_wave + in_arms


def check_learnable(products: list[Product], settings: Settings, refused: str = "") -> None:
    """See whether `products` could teach anything, whatever they are; `refused` is how the first
    refused value reads.

    Raises:
        CatalogError: they could not.
    """
    demo = settings.demo
    why = why_not(products, settings.streams.heldout_share, demo.rounds, refused)
    if why is not None:
        raise CatalogError(f"{demo.catalog or 'the generated catalog'}: {why}")


def check_enough(products: list[Product], settings: Settings) -> None:
    """See whether every round can begin at least when all of `products` have arrived.

    Raises:
        CatalogError: one cannot.
    """
    streams, rounds = settings.streams, settings.demo.rounds
    held_out, others = parted(products, streams.heldout_share)
    # A listing is trained on once, and one of which no value is known teaches nothing.
    teaching = sum(bool(product.truth) for product in others)
    if teaching < rounds * streams.k or len(held_out) < streams.heldout_least:
        raise CatalogError(
            f"{settings.demo.catalog or 'the generated catalog'}: has {teaching} products to learn "
            f"from and {len(held_out)} to judge on, where {rounds} rounds need "
            f"{rounds * streams.k} and {streams.heldout_least}; give a larger catalog, or a "
            "smaller LISTUNE_STREAMS__K or LISTUNE_STREAMS__HELDOUT_LEAST"
        )


def write_stage(stage: Stage, settings: Settings, run_dir: Path) -> Settings:
    """Write what the workers read; returns the settings that name it."""
    path = run_dir / "schema.json"
    write_schemas(path, stage.schemas)
    return settings.changed(streams={"schema_path": path}, trainer={"seed": settings.demo.seed})
