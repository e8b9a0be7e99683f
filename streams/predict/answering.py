"""From a request to its prediction: what is answered without inference, and how often is asked.

Knows nothing of Kafka. Every valid event gets an answer:

- `failed`: unknown category, a schema hash that was never ours, an attribute that the category does
  not have, an empty listing, one without text whose pictures cannot be had, or a listing that the
  engine refuses; `error` says which;
- `expired`: its patience was over, before or while it waited for the engine;
- `superseded`: an order whose adapter is no longer champion, or no longer on trial; and a shadow
  order that has found no quiet moment for `SHADOW_WAIT_S`;
- `ok`: the values of whoever answers it (`streams.predict.traffic`) at that moment.

While the engine is away or busy the request waits; one of unlimited patience waits for ever. An arm
whose own answerer cannot answer falls back to the champion, and `fell_back` says why; a shadow
order, which asks for one adapter only, is `failed` then. It is asked only while nothing else is
under way, and broken off when something comes, to be asked anew later: it makes no seller wait but
for the forward pass that the engine is at.

The pictures that a listing names are looked at once, before anybody is asked and by nobody's slot,
whoever answers then: also what a blind answer or an endpoint's is learnt from later is to be seen.
A picture that cannot be had leaves a note, and the text is answered; an order, too, whose pictures
were forgotten or lost. Without a text it is `failed`.

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
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from functools import cached_property

from schemas.category import CategorySchema
from schemas.errors import SchemaError
from schemas.events import ListingPrediction, ListingRequest, Mode, Purpose, Status, now_ms
from schemas.versions import SchemaVersions
from serving.errors import Busy, Cancelled, Refused, ServingError, Unavailable, UnknownAdapter
from serving.listing import Listing
from serving.pictures.looking import Looked
from streams import metrics
from streams.predict import pictures
from streams.predict.answerers import Answerers, CannotAnswer, Question
from streams.predict.flow import Slot
from streams.predict.prediction import answered, unanswered
from streams.predict.traffic import By, Plan, Traffic

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 2.0
MAX_FAULTS = 3
"""An engine that fails on the same request this often will not do better the next time."""
SHADOW_WAIT_S = 60.0
"""A shadow order is not tried again after this time. It holds back the commits of its partition,
and the next look of the conductor orders that listing anew."""


@dataclass(frozen=True)
class Asked:
    """A request as it came, and the slot that its caller holds for it."""

    request: ListingRequest
    written_ms: int
    slot: Slot | None
    started: float = field(default_factory=time.monotonic)

    @cached_property
    def expires_ms(self) -> int | None:
        """When nobody waits any more; None: never."""
        return self.request.expires_ms(self.written_ms)

    def left_s(self) -> float | None:
        """The time until then."""
        if self.expires_ms is None:
            return None
        return max(0.001, (self.expires_ms - now_ms()) / 1000)

    def latency_ms(self) -> float:
        """The time since it was taken on."""
        return (time.monotonic() - self.started) * 1000

    @property
    def give_way(self) -> Future[None] | None:
        """What tells a shadow order to give way; None: it need not."""
        return None if self.slot is None else self.slot.give_way

    async def hold_slot(self, needed: bool) -> None:
        """Takes its slot again, or gives it back while it is not needed."""
        if self.slot is None:
            return
        if needed:
            await self.slot.acquire()
        else:
            self.slot.release()


class Answerer:
    """Answers requests; several at a time."""

    def __init__(
        self,
        schemas: SchemaVersions,
        look_at_schemas: Callable[[], None],
        traffic: Callable[[], Traffic],
        answerers: Answerers,
        mode: Mode,
        executor: Executor,
        eyes: pictures.Eyes | None = None,
    ) -> None:
        """What it is made of.

        Args:
            look_at_schemas: brings `schemas` up to date; runs in the executor.
            traffic: who answers, by now.
            mode: of requests that name none.
            eyes: None where no picture is looked at.
        """
        self.schemas = schemas
        self._look_at_schemas = look_at_schemas
        self._traffic = traffic
        self._answerers = answerers
        self._mode = mode
        self._executor = executor
        self._eyes = eyes
        self.waiting = 0
        """Requests that wait for whoever answers them now."""

    async def answer(
        self, request: ListingRequest, written_ms: int, slot: Slot | None = None
    ) -> ListingPrediction:
        """The prediction for `request`; returns only with an answer.

        Args:
            request: as its record has it.
            written_ms: the record's time, from which the request's patience counts.
            slot: one of the engine's that the caller holds; given back while an endpoint is asked.
                A shadow order's is not held: it is taken for each try.
        """
        asked = Asked(request, written_ms, slot)
        early = self._moot(asked)
        if early is not None:
            return early
        try:
            schema = await self._schema(request)
            attributes = schema.select(request.requested)
        except SchemaError as error:
            return self._unanswered(asked, Status.FAILED, str(error))
        listing = Listing(
            request.listing_key,
            schema.category,
            request.title,
            request.description,
            tuple(request.images),
        )
        question = Question(listing, schema, attributes, request.mode or self._mode)
        self.waiting += 1
        try:
            blocked = None
            if self._may_look(request):
                question = replace(question, looked=await self._look(asked))
                blocked = self._blocked(asked, question)
            answer = blocked or await self._answer(asked, question)
        finally:
            self.waiting -= 1

        seen = question.looked
        return answer.model_copy(
            update={
                "category_schema_hash": schema.hash,
                # Whatever the answer says: what is kept of a listing is found by this.
                "pictures": [picture.sha256 for picture in seen.pictures],
                "notes": [*seen.notes, *answer.notes],
            }
        )

    def _may_look(self, request: ListingRequest) -> bool:
        return self._eyes is not None and bool(pictures.named(request))

    async def _look(self, asked: Asked) -> Looked:
        assert self._eyes is not None
        await asked.hold_slot(False)
        return await pictures.look(self._eyes, asked.request, asked.left_s())

    def _blocked(self, asked: Asked, question: Question) -> ListingPrediction | None:
        """The answer to what nobody needs after looking, or has nothing to be answered from."""
        if (moot := self._moot(asked)) is not None:
            return moot
        if question.looked.pictures or question.has_text:
            return None
        why = " ".join(question.looked.notes)
        reason = f"the listing has neither title nor description, and no picture is seen. {why}"
        return self._unanswered(asked, Status.FAILED, reason)

    async def _answer(self, asked: Asked, question: Question) -> ListingPrediction:
        if asked.request.purpose is Purpose.SHADOW and asked.slot is not None:
            return await self._ask_when_quiet(asked, asked.slot, question)
        return await self._ask(asked, question)

    def _moot(self, asked: Asked) -> ListingPrediction | None:
        """The answer to a request that nobody needs any more."""
        if asked.expires_ms is not None and now_ms() >= asked.expires_ms:
            reason = "the request's patience was over before the answer; ask again"
            return self._unanswered(asked, Status.EXPIRED, reason)
        superseded = self._traffic().superseded(asked.request)
        if superseded is not None:
            return self._unanswered(asked, Status.SUPERSEDED, superseded)
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
        has_text = pictures.has_text(request.title, request.description)
        if not has_text and not self._may_look(request):
            raise SchemaError("the listing has neither title nor description; give one of them")
        return schema

    async def _ask_when_quiet(
        self, asked: Asked, slot: Slot, question: Question
    ) -> ListingPrediction:
        """Asks while nothing else is under way, and anew after something else came."""
        while True:
            left_s = SHADOW_WAIT_S - asked.latency_ms() / 1000
            try:
                await asyncio.wait_for(slot.acquire(), left_s)
            except TimeoutError:
                reason = (
                    f"for {SHADOW_WAIT_S:g} s there was no quiet moment long enough for an answer "
                    "that nobody waits for; the listing may be ordered again"
                )
                return self._unanswered(asked, Status.SUPERSEDED, reason)
            try:
                return self._moot(asked) or await self._ask(asked, question)
            except Cancelled:
                metrics.GAVE_WAY.inc()
            finally:
                slot.release()

    async def _ask(self, asked: Asked, question: Question) -> ListingPrediction:
        """Asks until there is an answer or the request is moot.

        Raises:
            Cancelled: a shadow order that has to give way.
        """
        wait_s, faults = FIRST_WAIT_S, 0
        given_up: dict[str, str] = {}
        while True:
            plan = self._plan(asked, given_up)
            try:
                await asked.hold_slot(plan.by is not By.ENDPOINT)
                result = await self._answerers.ask(plan, question, asked.left_s(), asked.give_way)
                return answered(asked.request, question, plan, result, asked.latency_ms())
            except CannotAnswer as error:
                if (answer := self._give_up(asked, plan, error, given_up)) is not None:
                    return answer
                continue
            except Refused as error:
                return self._unanswered(asked, Status.FAILED, str(error))
            except (Busy, Unavailable, UnknownAdapter) as error:
                log.debug("listing %s waits: %s", asked.request.listing_id, error)
            except ServingError as error:  # it failed or timed out on this very request
                if isinstance(error, Cancelled) and asked.give_way is not None:
                    raise
                faults += 1
                log.warning("listing %s, try %d: %s", asked.request.listing_id, faults, error)
                if faults == MAX_FAULTS:
                    reason = f"the engine failed {faults} times, last with: {error}"
                    why = CannotAnswer("engine_failed", reason)
                    if (answer := self._give_up(asked, plan, why, given_up)) is not None:
                        return answer
                    faults = 0
                    continue
            if (moot := self._moot(asked)) is not None:
                return moot
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            if (moot := self._moot(asked)) is not None:
                return moot

    def _plan(self, asked: Asked, given_up: Mapping[str, str]) -> Plan:
        """Who answers by now, without those that `given_up` has a sentence for."""
        traffic = self._traffic()
        plan = traffic.plan(asked.request, asked.written_ms)
        why = given_up.get(plan.own or "")
        return plan if why is None else traffic.by_champion(plan, why)

    def _give_up(
        self, asked: Asked, plan: Plan, error: CannotAnswer, given_up: dict[str, str]
    ) -> ListingPrediction | None:
        """Leaves it to the champion from now on; an answer where that cannot stand in."""
        if plan.own is None or asked.request.purpose is Purpose.SHADOW:
            return self._unanswered(asked, Status.FAILED, str(error))
        given_up[plan.own] = str(error)
        metrics.FELL_BACK.labels(plan.arm, error.reason).inc()
        return self._moot(asked)

    def _unanswered(self, asked: Asked, status: Status, reason: str) -> ListingPrediction:
        plan = self._traffic().plan(asked.request, asked.written_ms)
        return unanswered(asked.request, status, reason, plan.arms)
