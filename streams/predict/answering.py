"""From a request to its prediction: what is answered without inference, and how inference is tried.

Knows nothing of Kafka. Every valid event gets an answer:

- `failed`: unknown category, a schema hash that was never ours, an attribute that the category does
  not have, an empty listing, or a listing that the engine refuses; `error` says which;
- `expired`: its patience was over, before or while it waited for the engine;
- `superseded`: a backfill order whose adapter is no longer champion;
- `ok`: the engine's values, by the champion of that moment.

While the engine is away or busy the request waits; one of unlimited patience waits for ever. An
engine that does not know the champion is given it again from the registry.

A category or an attribute that is asked for by a former name is answered under the name in force.
The engine answers all attributes side by side; of those with a condition (`when`) an answer is kept
only where the other attribute's answer meets it.

A request is answered by the schema that it was made under: while a schema changes, some sellers
have the former one before them. A hash that is not known is a reason to look at the file again. A
request without a hash is answered by the schema in force, which its prediction names.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Protocol

from schemas.category import Attribute, CategorySchema
from schemas.conditions import applying
from schemas.errors import SchemaError
from schemas.events import (
    ListingPrediction,
    ListingRequest,
    Mode,
    Purpose,
    Status,
    ValueLists,
    new_id,
    now_ms,
)
from schemas.markup import without_markup
from schemas.versions import SchemaVersions
from serving.errors import Busy, Refused, ServingError, Unavailable, UnknownAdapter
from serving.listing import Listing
from streams.kafka.control_log import Champion

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 2.0
MAX_FAULTS = 3
"""An engine that fails on the same request this often will not do better the next time."""


class Generated(Protocol):
    """What the engine answers; see `serving.triton.client`."""

    @property
    def values(self) -> ValueLists: ...
    @property
    def invalid(self) -> dict[str, str]: ...
    @property
    def cut(self) -> tuple[str, ...]: ...
    @property
    def confidence(self) -> dict[str, float]: ...
    @property
    def adapter_id(self) -> str: ...
    @property
    def adapter_hash(self) -> str: ...
    @property
    def batches(self) -> int: ...


class Engine(Protocol):
    """The part of `serving.triton.client.TritonClient` that answering needs."""

    def generate(
        self,
        listing: Listing,
        attributes: Sequence[Attribute],
        mode: Mode | None = None,
        batches: int | None = None,
        adapter_hash: str = ...,
        timeout_s: float | None = None,
    ) -> Generated: ...


class Answerer:
    """Answers requests by the champion; several at a time, each in a thread of `executor`."""

    def __init__(
        self,
        schemas: SchemaVersions,
        look_at_schemas: Callable[[], None],
        engine: Engine,
        champion: Callable[[], Champion],
        heal: Callable[[Champion], None],
        mode: Mode,
        executor: Executor,
    ) -> None:
        """Both of these run in the executor.

        Args:
            look_at_schemas: brings `schemas` up to date.
            heal: gives the engine an adapter that it does not have.
        """
        self.schemas = schemas
        self._look_at_schemas = look_at_schemas
        self._engine = engine
        self._champion = champion
        self._heal = heal
        self._mode = mode
        self._executor = executor
        self._healing = asyncio.Lock()
        self.waiting = 0
        """Requests that wait for the engine now."""

    async def answer(self, request: ListingRequest, written_ms: int) -> ListingPrediction:
        """The prediction for `request`; returns only with an answer.

        Args:
            request: as its record has it.
            written_ms: the record's time, from which the request's patience counts.
        """
        started = time.monotonic()
        expires_ms = request.expires_ms(written_ms)
        early = self._moot(request, expires_ms)
        if early is not None:
            return early
        try:
            schema = await self._schema(request)
            attributes = schema.select(request.requested)
        except SchemaError as error:
            return self._without_values(request, Status.FAILED, str(error))
        self.waiting += 1
        try:
            answer = await self._ask(request, schema.category, attributes, expires_ms, started)
            return answer.model_copy(update={"category_schema_hash": schema.hash})
        finally:
            self.waiting -= 1

    def _moot(self, request: ListingRequest, expires_ms: int | None) -> ListingPrediction | None:
        """The answer to a request that nobody needs any more."""
        if expires_ms is not None and now_ms() >= expires_ms:
            reason = "the request's patience was over before the answer; ask again"
            return self._without_values(request, Status.EXPIRED, reason)
        backfill = request.purpose is Purpose.BACKFILL
        if backfill and request.adapter_hash != self._champion().hash:
            return self._without_values(
                request, Status.SUPERSEDED, "the adapter to be measured is no longer champion"
            )
        return None

    async def _schema(self, request: ListingRequest) -> CategorySchema:
        """The schema to answer by. Raises SchemaError with what is wrong with the request."""
        made_under = request.category, request.category_schema_hash
        schema = self.schemas.made_under(*made_under)
        if schema is None:
            # Whoever asks may have seen a change before this worker did.
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._executor, self._look_at_schemas)
            schema = self.schemas.made_under(*made_under)
        if schema is None:
            current = self.schemas.current
            if current.find(request.category) is None:
                raise SchemaError(
                    f"category {request.category!r} is unknown; use one of the schema's "
                    f"{len(current)} categories"
                )
            raise SchemaError(
                f"the request was made under another schema of category {request.category!r}; "
                "load the current schema and ask again"
            )
        if not any(without_markup(t).strip() for t in (request.title, request.description)):
            raise SchemaError("the listing has neither title nor description; give one of them")
        return schema

    async def _ask(
        self,
        request: ListingRequest,
        category: str,
        attributes: tuple[Attribute, ...],
        expires_ms: int | None,
        started: float,
    ) -> ListingPrediction:
        """Asks the engine until it answers or the request is moot."""
        mode = request.mode or self._mode
        wait_s, faults = FIRST_WAIT_S, 0
        while True:
            champion = self._champion()
            try:
                result = await self._generate(
                    request, category, attributes, mode, champion, expires_ms
                )
                return self._with_values(request, category, attributes, mode, result, started)
            except UnknownAdapter:
                await self._give(champion)
            except Refused as error:
                return self._without_values(request, Status.FAILED, str(error))
            except (Busy, Unavailable) as error:
                log.debug("listing %s waits: %s", request.listing_id, error)
            except ServingError as error:  # it failed or timed out on this very request
                faults += 1
                log.warning("listing %s, try %d: %s", request.listing_id, faults, error)
                if faults == MAX_FAULTS:
                    reason = f"the engine failed {faults} times, last with: {error}"
                    return self._without_values(request, Status.FAILED, reason)
            if (moot := self._moot(request, expires_ms)) is not None:
                return moot
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            if (moot := self._moot(request, expires_ms)) is not None:
                return moot

    async def _generate(
        self,
        request: ListingRequest,
        category: str,
        attributes: tuple[Attribute, ...],
        mode: Mode,
        champion: Champion,
        expires_ms: int | None,
    ) -> Generated:
        listing = Listing(
            request.listing_key,
            category,
            request.title,
            request.description,
            tuple(request.images),
        )
        left_s = None
        if expires_ms is not None:
            left_s = max(0.001, (expires_ms - now_ms()) / 1000)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor,
            lambda: self._engine.generate(
                listing, attributes, mode=mode, adapter_hash=champion.hash, timeout_s=left_s
            ),
        )

    async def _give(self, champion: Champion) -> None:
        """Pushes the champion to an engine that lost it; one push at a time."""
        async with self._healing:
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(self._executor, self._heal, champion)
            except (ServingError, OSError) as error:
                log.error("champion %s cannot be pushed, requests wait: %s", champion.id, error)

    def _with_values(
        self,
        request: ListingRequest,
        category: str,
        attributes: tuple[Attribute, ...],
        mode: Mode,
        result: Generated,
        started: float,
    ) -> ListingPrediction:
        apply = {attribute.name: attribute for attribute in applying(attributes, result.values)}
        values = {name: values for name, values in result.values.items() if name in apply}
        return self._prediction(
            request,
            status=Status.OK,
            category=category,
            requested=[attribute.name for attribute in attributes],
            values=values,
            invalid={name: text for name, text in result.invalid.items() if name in apply},
            cut=[name for name in result.cut if name in apply],
            confidence={name: p for name, p in result.confidence.items() if name in apply},
            missing_required=[
                name for name, one in apply.items() if one.required and not values.get(name)
            ],
            mode=mode,
            batches=result.batches,
            adapter_id=result.adapter_id,
            adapter_hash=result.adapter_hash,
            latency_ms=(time.monotonic() - started) * 1000,
        )

    def _without_values(
        self, request: ListingRequest, status: Status, reason: str
    ) -> ListingPrediction:
        return self._prediction(request, status=status, error=reason)

    def _prediction(self, request: ListingRequest, **fields: object) -> ListingPrediction:
        shared = {
            "prediction_id": new_id(),
            "request_id": request.request_id,
            "listing_id": request.listing_id,
            "seller_id": request.seller_id,
            "tags": request.tags,
            "category": request.category,
            "category_schema_hash": request.category_schema_hash,
            "input_hash": request.input_hash(),
            "purpose": request.purpose,
        }
        return ListingPrediction.model_validate(shared | fields)
