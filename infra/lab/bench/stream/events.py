"""The events that the stream benchmark sends: requests, predictions and reviews of one catalog.

Products are those of the demo's generated catalog, with 20 to 40 attributes each. A prediction
fills most of them, some wrongly, and never the first; its review has all of the product's values,
so that each review makes a sample with a deficit. No two titles are nearly the same: a round takes
none that resembles a held-out one. The same for the same seed.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle, islice

from infra.catalogs.catalog import Product
from infra.catalogs.generate import generate
from schemas.category import CategorySchemas
from schemas.events import (
    ListingPrediction,
    ListingRequest,
    ListingReview,
    Status,
    ValueLists,
    listing_sha256,
)
from streams.kafka.publisher import Publisher
from streams.settings import StreamsSettings

DISTINCT = 1200
"""Products; beyond them the same come again under other ids."""
BLANK, WRONG = 0.25, 0.1
"""Shares of a prediction's attributes."""


@dataclass(frozen=True)
class ListingEvents:
    """The three events of one listing, as they stand on their topics."""

    listing_id: str
    request: bytes
    prediction: bytes
    review: bytes


def make(count: int, seed: int = 7) -> tuple[CategorySchemas, list[ListingEvents]]:
    """`count` listings, and the schemas of their categories."""
    schemas, products = generate(seed, min(count, DISTINCT))
    peers = {product.category: product for product in products}
    chosen = islice(cycle(products), count)
    return schemas, [
        _events(
            product, _id(product, place // len(products)), peers[product.category], schemas, seed
        )
        for place, product in enumerate(chosen)
    ]


def send(settings: StreamsSettings, topic: str, events: Iterable[tuple[str, bytes]]) -> None:
    """Writes (listing id, event) to `topic` and waits until the broker has all of them."""
    publisher = Publisher(settings, client_id="listune.bench")
    for listing_id, payload in events:
        publisher.send(topic, listing_id, payload)
    publisher.flush(120)
    publisher.close()


def _id(product: Product, lap: int) -> str:
    return f"{product.product_id}-{lap}" if lap else product.product_id


def _events(
    product: Product, listing_id: str, peer: Product, schemas: CategorySchemas, seed: int
) -> ListingEvents:
    schema = schemas[product.category]
    shared = {
        "listing_id": listing_id,
        "request_id": f"request-{listing_id}",
        "category": product.category,
        "category_schema_hash": schema.hash,
    }
    request = ListingRequest.model_validate(
        shared
        | {
            "title": f"{product.title} {listing_sha256(listing_id)[:32]}",
            "description": product.description,
        }
    )
    chance = random.Random(f"prediction/{seed}/{product.product_id}")
    shown = _predicted(product, peer, chance)
    prediction_id = f"prediction-{listing_id}"
    prediction = ListingPrediction.model_validate(
        shared
        | {
            "prediction_id": prediction_id,
            "input_hash": request.input_hash(),
            "status": Status.OK,
            "requested": [attribute.name for attribute in schema.attributes],
            "values": shown,
            "confidence": {name: round(chance.random(), 4) for name in shown},
            "batches": len(schema.attributes),
            "latency_ms": 900.0,
        }
    )
    review = ListingReview.model_validate(
        shared
        | {
            "review_id": f"review-{listing_id}",
            "prediction_id": prediction_id,
            "shown": shown,
            "submitted": product.truth,
        }
    )
    return ListingEvents(listing_id, request.to_bytes(), prediction.to_bytes(), review.to_bytes())


def _predicted(product: Product, peer: Product, chance: random.Random) -> ValueLists:
    values: ValueLists = {}
    for name in list(product.truth)[1:]:
        drawn = chance.random()
        if drawn >= BLANK:
            source = peer if drawn < BLANK + WRONG else product
            values[name] = source.truth[name]
    return values
