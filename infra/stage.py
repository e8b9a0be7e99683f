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
from infra.catalogs.grouping import stratified
from infra.catalogs.inputs import mixed
from infra.catalogs.reading import Reading
from infra.catalogs.rejected_file import rejected_file, where_rejected
from infra.checkup.lengths import Lengths, base_vocabulary
from infra.checkup.measuring import Rejections, measure
from infra.checkup.needs import Needs
from infra.checkup.report import CheckReport
from infra.checkup.tables import verdict
from infra.settings import Mix, Settings
from schemas.category import CategorySchemas
from schemas.sources.json_schema import read_schemas, write_schemas

# The generated catalog has so many times what the waves should need, so that topping up has some.
SPARE = 2
GENERATED = Path("the generated catalog")


@dataclass
class Stage:
    """What a run plays with."""

    schemas: CategorySchemas
    products: list[Product]  # in the order in which they arrive
    check: CheckReport | None = None  # of a catalog that was not generated


def read_stage(settings: Settings, console: Console) -> Stage:
    """Read or generate the catalog; its products arrive with the categories dealt out evenly.

    Raises:
        ListuneError: a schema or catalog that cannot be used, with file and line, or a catalog
            of which nothing could be learnt in the rounds of the settings.
    """
    demo, share = settings.demo, settings.streams.heldout_share
    schemas, reading, rejections = _read(settings, console)
    reading.products = _as_sent(reading.products, settings)
    check = _checked(schemas, reading, rejections, settings)
    products = reading.products
    console.print(
        f"Catalog [bold]{demo.catalog or 'generated'}[/]: {len(schemas)} categories, "
        f"{len(products)} products; of those that arrive {share:.0%} are held out",
        highlight=False,
    )
    dealt = stratified([[product] for product in products], demo.seed)
    stage = Stage(schemas, [product for (product,) in dealt])
    if demo.catalog is not None:
        stage.check = check
        style = "green" if check.ready else "yellow"
        console.print(Text(f"Check: {verdict(check)}", style=style))
    return stage


def _read(settings: Settings, console: Console) -> tuple[CategorySchemas, Reading, Rejections]:
    demo, rejections = settings.demo, Rejections()
    if demo.catalog is None or demo.catalog_schema is None:
        schemas, products = generate(demo.seed, _to_generate(settings))
        return schemas, Reading(GENERATED, products, len(products)), rejections
    schemas = read_schemas(demo.catalog_schema, alternatives=demo.alternatives)
    with rejected_file(demo.catalog) as write:
        told = rejections.and_then(write)
        reading = read_products(demo.catalog, schemas, demo.alternatives, demo.strict, told)
    for warning in reading.warnings:
        console.print(Text(warning, style="yellow"))
    if reading.wrong or reading.refused:
        console.print(where_rejected(demo.catalog), highlight=False, markup=False)
    reading.check(demo.most_rejected)
    return schemas, reading, rejections


def _as_sent(products: list[Product], settings: Settings) -> list[Product]:
    """What their sellers send of them."""
    demo = settings.demo
    if not demo.pictures:
        bare = (replace(product, images=()) for product in products)
        products = [product for product in bare if product.title or product.description]
    return mixed(products) if demo.mix is Mix.PAPER else products


def _checked(
    schemas: CategorySchemas, reading: Reading, rejections: Rejections, settings: Settings
) -> CheckReport:
    """What `listune check` says of the products.

    Raises:
        CatalogError: nothing could be learnt of them.
    """
    vocabulary = None if reading.path == GENERATED else base_vocabulary(settings.local)
    lengths = Lengths(vocabulary, settings.serving.max_answer_tokens)
    schema_file = settings.demo.catalog_schema or GENERATED
    check = measure(reading, schema_file, schemas, rejections, lengths, needs_of(settings))
    if check.stop is not None:
        raise CatalogError(f"{reading.path}: {check.stop}")
    return check


def needs_of(settings: Settings) -> Needs:
    """What the settings ask of a catalog."""
    streams, demo = settings.streams, settings.demo
    return Needs(
        heldout_share=streams.heldout_share,
        rounds=demo.rounds,
        k=streams.k,
        judges=streams.heldout_least,
        judges_most=streams.heldout_most,
        group_share=streams.max_share_per_group,
        most_rejected=demo.most_rejected,
    )


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


def write_stage(stage: Stage, settings: Settings, run_dir: Path) -> Settings:
    """Write what the workers read; returns the settings that name it."""
    path = run_dir / "schema.json"
    write_schemas(path, stage.schemas)
    return settings.changed(streams={"schema_path": path}, trainer={"seed": settings.demo.seed})
