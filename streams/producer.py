"""The SDK of a listing service: ask for values, send the seller's review.

    with ListuneClient(settings, schemas) as client:
        prediction = client.predict(listing_id="4711", category="Shoes", title="Red running shoe")
        client.review(prediction, shown=prediction.values, submitted={"colour": ["red"]})
        client.flush(10)

What is seen of a product is named by URIs, never sent itself:

    client.predict(listing_id="4712", category="Shoes", images=["https://img.example.com/4712.jpg"])

`prediction.pictures` are the hashes of those that were seen, `prediction.notes` say why others were
not. A listing with neither title nor description needs one that can be had, else it is `failed`.

While an experiment runs, `prediction.arms` says which arms the seller is in. In a *blind* one the
prediction has no values: the seller fills in an empty form, whose review is sent as any other.

What would only be answered with a failure (an unknown category or attribute) or be refused by the
broker (too large) raises `RequestRefused` and is not sent. Records are sent in the background;
`flush` and leaving the `with` block raise `DeliveryError` if one was not stored.
"""

import concurrent.futures
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Required, TypedDict, Unpack

from schemas.category import CategorySchemas
from schemas.errors import SchemaError
from schemas.events import (
    ListingPrediction,
    ListingRequest,
    ListingReview,
    Mode,
    ValueLists,
    new_id,
)
from schemas.texts import HALF_CHARACTER, is_cut
from schemas.topic_names import REQUESTS, REVIEWS
from streams.errors import DeliveryError, PredictionTimeout, RequestRefused
from streams.kafka.publisher import Position, Publisher
from streams.kafka.replies import Replies
from streams.settings import StreamsSettings


class ListingFields(TypedDict, total=False):
    """One listing, as the SDK takes it; only `listing_id` and `category` must be given.

    `listing_id` is yours: unique in the marketplace, or among a seller's listings where `seller_id`
    says whose it is. Both, and the tags, come back in the prediction and go into its review.
    """

    listing_id: Required[str]
    category: Required[str]
    seller_id: str | None
    tags: Mapping[str, str]  # what else you want to find it by: locale, source, …
    title: str
    description: str
    images: Sequence[str] | str  # URIs of its pictures, the most telling first
    requested: Sequence[str] | None  # attribute names; None asks for all of the category
    mode: Mode | str | None  # "free" or "constrained"; None leaves it to the worker


FLUSH_S = 30.0
"""How long leaving a `with` block waits for the broker."""


class ListuneClient:
    """Sends requests and reviews, and waits for predictions; safe for several threads."""

    def __init__(
        self,
        settings: StreamsSettings,
        schemas: CategorySchemas,
        on_stored: Callable[[ListingRequest | ListingReview], None] | None = None,
    ) -> None:
        """`on_stored` is told each event once the broker has it, on a thread that must not wait."""
        self._settings = settings
        self._schemas = schemas
        self._on_stored = on_stored
        self._publisher = Publisher(settings, client_id="listune-sdk")
        self._replies: Replies | None = None
        self._lock = threading.Lock()
        self._failure: BaseException | None = None

    def __enter__(self) -> "ListuneClient":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.flush(FLUSH_S)
        finally:
            self.close()

    def request(
        self,
        *,
        timeout_s: float | None = None,
        request_id: str | None = None,
        **listing: Unpack[ListingFields],
    ) -> ListingRequest:
        """Asks for the values of one listing and does not wait for them.

        Args:
            timeout_s: seconds after which the answer is `expired`, counted from the request's
                record in Kafka on; None takes `streams.request_timeout_s`.
            request_id: an identity of your own, never used before; None makes one.
            listing: see `ListingFields`.

        Raises:
            RequestRefused: unknown category or attribute, an ill-formed field, or too large.
        """
        request = self._make_request(timeout_s, request_id, listing)
        self._send(REQUESTS, request)
        return request

    def predict(
        self, *, timeout_s: float | None = None, **listing: Unpack[ListingFields]
    ) -> ListingPrediction:
        """Asks for the values of one listing and waits for the canonical answer.

        The answer's `status` may be `failed` or `expired`; `error` then says why.

        Raises:
            RequestRefused: as in `request`.
            PredictionTimeout: no answer within `timeout_s` seconds.
            DeliveryError: the request was not stored.
        """
        limit = self._settings.request_timeout_s if timeout_s is None else timeout_s
        request = self._make_request(limit, None, listing)
        replies = self._replies_thread()
        answer = replies.expect(request.request_id)
        try:
            self._send(REQUESTS, request).result(limit)
            return answer.result(limit)
        except concurrent.futures.TimeoutError:
            raise PredictionTimeout(
                f"no prediction for listing {request.listing_id} within {limit:g} s; see whether "
                "the predict app and Triton are up (`listune status`), or wait longer"
            ) from None
        finally:
            replies.forget(request.request_id)

    def use_schemas(self, schemas: CategorySchemas) -> None:
        """Asks under `schemas` from now on: for a service that runs while they change."""
        self._schemas = schemas

    def review(
        self, prediction: ListingPrediction, shown: ValueLists, submitted: ValueLists
    ) -> ListingReview:
        """Says what the seller was shown of `prediction` and what the seller submitted.

        Raises:
            RequestRefused: values for attributes that the category does not have, ill-formed, or
                too large.
        """
        schema = self._schemas.find(prediction.category)
        # A prediction of before `use_schemas` has attributes that may be gone now.
        if schema is not None and schema.hash == prediction.category_schema_hash:
            try:
                schema.select([*shown, *submitted])
            except SchemaError as error:
                raise RequestRefused(str(error)) from None
        try:
            review = ListingReview(
                review_id=new_id(),
                prediction_id=prediction.prediction_id,
                request_id=prediction.request_id,
                listing_id=prediction.listing_id,
                seller_id=prediction.seller_id,
                tags=prediction.tags,
                category=prediction.category,
                category_schema_hash=prediction.category_schema_hash,
                shown=shown,
                submitted=submitted,
            )
        except ValueError as error:
            raise RequestRefused(f"the review is ill-formed: {_first_fault(error)}") from None
        self._send(REVIEWS, review)
        return review

    def flush(self, deadline_s: float) -> None:
        """Waits until everything sent is stored.

        Raises:
            DeliveryError: records remain after `deadline_s` seconds, or one sent since the last
                flush has failed.
        """
        self._publisher.flush(deadline_s)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise DeliveryError(str(failure)) from failure

    def close(self) -> None:
        """Gives up what is not yet stored and frees the connections."""
        if self._replies is not None:
            self._replies.close()
        self._publisher.close()

    def _make_request(
        self, timeout_s: float | None, request_id: str | None, listing: ListingFields
    ) -> ListingRequest:
        category = listing["category"]
        schema = self._schemas.find(category)
        if schema is None:
            raise RequestRefused(
                f"the schema has no category {category!r}; use one of its {len(self._schemas)}"
            )
        limit = self._settings.request_timeout_s if timeout_s is None else timeout_s
        requested, mode = listing.get("requested"), listing.get("mode")
        images = listing.get("images", ())
        try:
            schema.select(requested)
            return ListingRequest(
                request_id=new_id() if request_id is None else request_id,
                listing_id=listing["listing_id"],
                seller_id=listing.get("seller_id"),
                tags=dict(listing.get("tags", {})),
                category=schema.category,
                category_schema_hash=schema.hash,
                title=listing.get("title", ""),
                description=listing.get("description", ""),
                images=[images] if isinstance(images, str) else list(images),
                requested=None if requested is None else list(requested),
                mode=None if mode is None else Mode(mode),
                patience_ms=max(1, int(limit * 1000)),
            )
        except SchemaError as error:
            raise RequestRefused(str(error)) from None
        except ValueError as error:
            raise RequestRefused(f"the request is ill-formed: {_first_fault(error)}") from None

    def _send(self, topic: str, event: ListingRequest | ListingReview) -> Future[Position]:
        try:
            value = event.to_bytes()
        except ValueError:
            cut = next((name for name, given in event if _has_half_character(given)), "a field")
            raise RequestRefused(f"{cut}: {HALF_CHARACTER}") from None
        if len(value) > self._settings.max_event_bytes:
            raise RequestRefused(
                f"listing {event.listing_id} takes {len(value)} bytes where "
                f"{self._settings.max_event_bytes} are allowed; shorten its description, and name "
                "pictures by URIs"
            )
        delivered = self._publisher.send(topic, event.listing_key, value)
        delivered.add_done_callback(lambda done: self._note(event, done))
        return delivered

    def _note(self, event: ListingRequest | ListingReview, delivered: Future[Position]) -> None:
        failure = delivered.exception()
        if failure is not None:
            self._failure = failure
        elif self._on_stored is not None:
            self._on_stored(event)

    def _replies_thread(self) -> Replies:
        with self._lock:
            if self._replies is None:
                self._replies = Replies(self._settings)
            return self._replies


def _has_half_character(given: object) -> bool:
    return is_cut(json.dumps(given, ensure_ascii=False, default=str))


def _first_fault(error: ValueError) -> str:
    faults = getattr(error, "errors", None)
    if faults is None:
        return str(error)
    first = faults(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
