"""Sellers who list products at a steady rate, whatever happens to the stack.

Each seller asks through the SDK, waits for the answer, reviews it and is gone. Sellers do not wait
for each other: while nothing is answered they become more, up to `MOST_WAITING`; then nobody comes
until one is served, so that a slow machine is not buried. What the broker has confirmed is kept by
its identity; only that can be lost.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from infra.catalogs.catalog import Product
from infra.catalogs.sellers import Seller
from schemas.category import CategorySchemas
from schemas.events import ListingRequest, ListingReview, Status
from streams.errors import DeliveryError, PredictionTimeout
from streams.producer import ListuneClient
from streams.settings import StreamsSettings

SELLERS = 120
"""They come back again and again, so that it shows whether one changes arms."""
MOST_WAITING = 60
"""Sellers at a time; each is a thread that sleeps."""
FLUSH_S = 60.0
LOOK_S = 0.2


@dataclass
class Stored:
    """Identities of what the broker has confirmed, and what the sellers were told.

    outcomes: sellers by what became of their request: a status of the answer, `no answer`, or
    `not sent` where the broker never confirmed it.
    """

    requests: set[str] = field(default_factory=set)
    reviews: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)

    def take(self, event: ListingRequest | ListingReview) -> None:
        """Notes that the broker has `event`."""
        if isinstance(event, ListingRequest):
            self.requests.add(event.request_id)
        else:
            self.reviews.add(event.review_id)


class Load:
    """`rate` new listings a second while the block lasts; it ends when every seller is served."""

    def __init__(
        self,
        settings: StreamsSettings,
        schemas: CategorySchemas,
        products: Sequence[Product],
        seller: Seller,
        rate: float,
    ) -> None:
        """`products` are listed one after the other, and again under other names at their end."""
        self.stored = Stored()
        self._schemas = schemas
        self._arrivals = _endless(products)
        self._names = _in_turn()
        self._seller = seller
        self._rate = rate
        self._client = ListuneClient(settings, schemas, on_stored=self.stored.take)
        self._sellers = ThreadPoolExecutor(MOST_WAITING, thread_name_prefix="seller")
        self._jobs: list[Future[None]] = []
        self._room = threading.Semaphore(MOST_WAITING)
        self._stop = threading.Event()
        self._feeder = threading.Thread(target=self._feed, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._feeder.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop(drain=kind is None)

    def stop(self, drain: bool = True) -> None:
        """No more listings; with `drain` returns when all that came are answered and reviewed."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._feeder.join()
        self._sellers.shutdown(wait=drain, cancel_futures=not drain)
        try:
            if drain:
                for job in self._jobs:
                    job.result()
                with suppress(DeliveryError):  # what was never confirmed is not in `stored`
                    self._client.flush(FLUSH_S)
        finally:
            self._client.close()

    def _feed(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            if self._room.acquire(timeout=LOOK_S):
                due = max(due + 1 / self._rate, time.monotonic())
                job = self._sellers.submit(self._one, next(self._arrivals), next(self._names))
                job.add_done_callback(lambda _: self._room.release())
                self._jobs.append(job)

    def _one(self, product: Product, seller_id: str) -> None:
        try:
            prediction = self._client.predict(
                listing_id=product.product_id,
                seller_id=seller_id,
                category=product.category,
                title=product.title,
                description=product.description,
                requested=product.requested,
            )
        except PredictionTimeout:
            self.stored.outcomes["no answer"] += 1
            return
        except DeliveryError:
            self.stored.outcomes["not sent"] += 1
            return
        self.stored.outcomes[prediction.status] += 1
        if prediction.status is Status.OK:
            submitted = self._seller.review(product, prediction, self._schemas)
            self._client.review(prediction, shown=prediction.values, submitted=submitted)


def _in_turn() -> Iterator[str]:
    """The names of the sellers, one after the other."""
    return (f"seller-{number % SELLERS}" for number in itertools.count())


def _endless(products: Sequence[Product]) -> Iterator[Product]:
    """`products`, then the same again as other listings, and so on."""
    for lap in itertools.count():
        for product in products:
            yield replace(product, product_id=f"{product.product_id}-{lap}")
