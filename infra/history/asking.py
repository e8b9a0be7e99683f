"""What the current model makes of products, asked as the trainer's judge asks.

Every answer is kept in the registry's memory, some listings at a time, and nobody is asked twice:
what was answered before a kill is not asked again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.catalogs.catalog import Product
from schemas.category import CategorySchemas
from schemas.conditions import applying
from schemas.events import ValueLists
from serving.adapter_file import AdapterFile
from serving.listing import Listing
from serving.settings import ServingSettings
from trainer.data.dataset import Row
from trainer.judging.evaluation_store import Kept
from trainer.judging.judge import Judge, judges_engine
from trainer.settings import TrainerSettings

TOGETHER = 16
"""Listings whose answers are written at once; a kill loses so many at most."""

Told = Callable[[str, int, int], None]
"""What is done, how far, and of how much."""


@dataclass(frozen=True)
class Answers:
    """What the model answered, by product id, and how long that took, whenever it was."""

    values: dict[str, ValueLists]
    seconds: float


def ask(
    products: Sequence[Product],
    schemas: CategorySchemas,
    adapter: AdapterFile | None,
    trainer: TrainerSettings,
    serving: ServingSettings,
    scratch: Path,
    told: Told,
) -> Answers:
    """The answers of `adapter` (None: of the base) about `products`.

    Args:
        scratch: a folder for the engine's own copies of adapters.
        told: of the progress.

    Raises:
        EngineError: the adapter does not fit the base, or a listing cannot be asked about.
    """
    kept, rows = Kept.of_registry(trainer.registry_dir), [as_row(p, schemas) for p in products]
    who = adapter.id if adapter else "the base"
    values: dict[str, ValueLists] = {}
    seconds = 0.0
    with judges_engine(trainer, serving, scratch) as engine:
        for start in range(0, len(rows), TOGETHER):
            some = rows[start : start + TOGETHER]

            def count(_stage: str, done: int, _total: int, before: int = start) -> None:
                told(f"ask {who}", before + done, len(rows))

            judge = Judge(some, serving, engine, kept, trainer.eval_in_flight, count)
            found = judge.evaluate(adapter, f"ask {who}")
            values |= {score.listing_id: score.values for score in found.listings}
            seconds += found.seconds
            told(f"ask {who}", start + len(some), len(rows))
    return Answers(values, seconds)


def as_row(product: Product, schemas: CategorySchemas) -> Row:
    """What the model is asked about `product`, without its pictures."""
    listing = Listing(product.product_id, product.category, product.title, product.description)
    attributes = applying(product.attributes(schemas), product.truth)
    return Row(listing, tuple(attributes), product.truth)
