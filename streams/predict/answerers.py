"""Those who answer: the engine with one adapter or another, an endpoint, or nobody (blind).

`Answerers.ask` asks whom a plan names, once. The engine's answers come without a thread for each.
Blocking calls run in threads: a push in the executor, an endpoint's in one of its own, so that a
slow endpoint takes nothing from the engine.

Where an arm's own answerer cannot answer, `CannotAnswer` says so in one sentence, and the champion
is to be asked in its place. An engine that does not know an adapter is given it from the registry;
one that cannot be given is not tried again for a while, since each try costs a push.

The engine gets the bytes of the listing's pictures. An endpoint is asked by the text alone, and
says so in a note; a listing without one is left to the champion.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from schemas.category import Attribute, CategorySchema
from schemas.events import BASE_ADAPTER, BLIND_ADAPTER, Mode
from serving.errors import AdapterError, Refused, ServingError, UnknownAdapter
from serving.examples import schema_example
from serving.generation import GenerationRequest, GenerationResult
from serving.listing import Listing
from serving.pictures.looking import Looked
from serving.prompt import Example
from streams.kafka.control_log import Champion
from streams.predict.pictures import SEES_NOTHING, has_text
from streams.predict.traffic import BASE, By, Plan

log = logging.getLogger(__name__)

EXAMPLE_ADAPTER = f"{BASE_ADAPTER}+example"
ENDPOINT_CALLS = 16
"""Calls of an endpoint at once; a request that finds all of them taken does not wait."""
ENDPOINT_SHARE = 0.5
"""Of the time that somebody still waits, an endpoint's: the champion needs some if it fails."""
GRACE_S = 0.1
"""How much later than told an endpoint may say that it was too slow."""
UNSEEN = "The endpoint was asked by the text alone, without the pictures."
BROKEN_S = 30.0
"""An adapter that could not be given to the engine is tried again after this time."""

BLANK = GenerationResult(
    values={}, invalid={}, confidence={}, adapter_id=BLIND_ADAPTER, adapter_hash=BLIND_ADAPTER,
    batches=0, forward_passes=0, tokens_computed=0, logits_computed=0, seconds=0.0,
)  # fmt: skip


class Engine(Protocol):
    """The part of `serving.triton.client.TritonClient` that is needed here."""

    async def ask(
        self,
        request: GenerationRequest,
        timeout_s: float | None = None,
        give_up: Future[None] | None = None,
    ) -> GenerationResult: ...


class EndpointAnswers(Protocol):
    """An endpoint as an arm. Its result's `adapter_id` is `endpoint:<model>`."""

    def answer(
        self, request: GenerationRequest, timeout_s: float | None = None
    ) -> GenerationResult:
        """The answer to `request` within `timeout_s`; called from several threads.

        Raises:
            ServingError: there is none; one sentence that says why, and maybe a word in `reason`.
        """
        ...


class CannotAnswer(Exception):
    """An arm's own answerer cannot answer: one sentence, and `reason` in a word."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True)
class Question:
    """What is asked of whoever answers."""

    listing: Listing
    schema: CategorySchema
    attributes: tuple[Attribute, ...]
    mode: Mode
    looked: Looked = SEES_NOTHING
    """What was seen of the listing's pictures."""

    @property
    def has_text(self) -> bool:
        """Whether the listing says anything in words."""
        return has_text(self.listing.title, self.listing.description)


class Answerers:
    """Asks the one that a plan names; each call in a thread."""

    def __init__(
        self,
        engine: Engine,
        heal: Callable[[Champion], None],
        executor: Executor,
        endpoint: EndpointAnswers | None = None,
        endpoint_calls: int = ENDPOINT_CALLS,
    ) -> None:
        """Whom it may ask.

        Args:
            heal: gives the engine an adapter that it does not have; runs in the executor.
            executor: for `heal`.
            endpoint: None where none is set.
            endpoint_calls: the most at once.
        """
        self._engine = engine
        self._heal = heal
        self._executor = executor
        self._endpoint = endpoint
        self._free_calls = endpoint_calls
        self._endpoint_executor = ThreadPoolExecutor(endpoint_calls, thread_name_prefix="endpoint")
        self._healing = asyncio.Lock()
        self._pushes: dict[str, asyncio.Future[None]] = {}
        self._broken: dict[str, tuple[float, str]] = {}
        self._examples: dict[str, Example] = {}

    async def ask(
        self,
        plan: Plan,
        question: Question,
        left_s: float | None,
        give_up: Future[None] | None = None,
    ) -> GenerationResult:
        """The answer, under the identity that its prediction is to have.

        Args:
            left_s: the time that somebody still waits; None: for ever.
            give_up: once it is done, the adapter of an order is asked no longer.

        Raises:
            CannotAnswer: the champion is to be asked in its place.
            Cancelled: `give_up` was done before the answer.
            UnknownAdapter: the engine has been given the adapter, or cannot be now; ask again.
            ServingError: as `serving.triton.client.TritonClient.generate` raises them.
        """
        match plan.by:
            case By.BLIND:
                return BLANK
            case By.ENDPOINT:
                result = await self._ask_endpoint(question, left_s)
                notes = (*result.notes, UNSEEN) if question.looked.pictures else result.notes
                return replace(result, adapter_hash=result.adapter_id, notes=notes)
            case By.EXAMPLE:
                result = await self._ask_with_example(question, left_s)
                return replace(result, adapter_id=EXAMPLE_ADAPTER, adapter_hash=EXAMPLE_ADAPTER)
            case By.ADAPTER:
                return await self._ask_adapter(plan.adapter, question, left_s, give_up)
            case By.CHAMPION | By.BASE:
                return await self._ask_champion(plan.adapter or BASE, question, left_s)

    async def _ask_champion(
        self, champion: Champion, question: Question, left_s: float | None
    ) -> GenerationResult:
        try:
            return await self._generate(question, champion.hash, left_s)
        except UnknownAdapter:
            try:
                await self._give(champion)
            except (ServingError, OSError) as error:
                log.error("champion %s cannot be pushed, requests wait: %s", champion.id, error)
            raise

    async def _ask_adapter(
        self,
        adapter: Champion | None,
        question: Question,
        left_s: float | None,
        give_up: Future[None] | None,
    ) -> GenerationResult:
        if adapter is None:
            raise CannotAnswer("adapter_unknown", "the control log names no file of the adapter")
        until, why = self._broken.get(adapter.hash, (0.0, ""))
        if time.monotonic() < until:
            raise CannotAnswer("adapter_broken", why)
        try:
            return await self._generate(question, adapter.hash, left_s, give_up=give_up)
        except UnknownAdapter:
            await self._give_on_trial(adapter)
        try:
            return await self._generate(question, adapter.hash, left_s, give_up=give_up)
        except UnknownAdapter as error:
            raise CannotAnswer("adapter_lost", f"the engine lost it at once: {error}") from None

    async def _give_on_trial(self, adapter: Champion) -> None:
        try:
            await self._give(adapter)
        except (AdapterError, OSError) as error:
            why = f"adapter {adapter.id} cannot be given to the engine: {error}"
            self._broken[adapter.hash] = time.monotonic() + BROKEN_S, why
            log.error("%s", why)
            raise CannotAnswer("adapter_broken", why) from None

    async def _ask_with_example(self, question: Question, left_s: float | None) -> GenerationResult:
        schema = question.schema
        example = self._examples.get(schema.hash)
        if example is None:
            example = schema_example(schema.category, schema.attributes)
            self._examples[schema.hash] = example
        try:
            return await self._generate(question, BASE_ADAPTER, left_s, example)
        except Refused as error:
            # Without the example the same listing may be well.
            raise CannotAnswer("refused", f"the engine refuses the example: {error}") from None

    async def _ask_endpoint(self, question: Question, left_s: float | None) -> GenerationResult:
        endpoint = self._endpoint
        if endpoint is None:
            raise CannotAnswer("no_endpoint", "no endpoint is set; set one, or end the experiment")
        if not question.has_text:
            raise CannotAnswer("no_text", "an endpoint is asked by text alone, and there is none")
        if not self._free_calls:
            raise CannotAnswer("endpoint_busy", "all calls of the endpoint at once are taken")
        self._free_calls -= 1
        request = GenerationRequest(question.listing, question.attributes, mode=question.mode)
        timeout_s = None if left_s is None else ENDPOINT_SHARE * left_s
        call = asyncio.get_running_loop().run_in_executor(
            self._endpoint_executor, endpoint.answer, request, timeout_s
        )
        # It is free when its thread is, though nobody may wait for it any more by then.
        call.add_done_callback(self._free_call)
        try:
            within_s = None if timeout_s is None else timeout_s + GRACE_S
            return await asyncio.wait_for(asyncio.shield(call), within_s)
        except TimeoutError:
            late = f"the endpoint gave no answer within {timeout_s:.3g} s"
            raise CannotAnswer("endpoint_slow", late) from None
        except ServingError as error:
            reason = getattr(error, "reason", "unavailable")
            raise CannotAnswer(f"endpoint_{reason}", str(error)) from None

    def _free_call(self, call: asyncio.Future[GenerationResult]) -> None:
        self._free_calls += 1
        if not call.cancelled():
            call.exception()  # seen, though nobody may wait for it any more

    async def _generate(
        self,
        question: Question,
        adapter_hash: str,
        left_s: float | None,
        example: Example | None = None,
        give_up: Future[None] | None = None,
    ) -> GenerationResult:
        request = GenerationRequest(
            question.listing,
            question.attributes,
            mode=question.mode,
            adapter_hash=adapter_hash,
            example=example,
            pictures=tuple(picture.data for picture in question.looked.pictures),
        )
        return await self._engine.ask(request, left_s, give_up)

    async def _give(self, adapter: Champion) -> None:
        """Pushes an adapter to an engine that lacks it: once for all who find it missing meanwhile.

        An engine that comes up anew lacks it for everybody who asks.
        """
        push = self._pushes.get(adapter.hash)
        if push is None:
            push = self._pushes[adapter.hash] = asyncio.ensure_future(self._push(adapter))
            push.add_done_callback(lambda _: self._pushes.pop(adapter.hash))
        await asyncio.shield(push)  # the others wait for it though one of them is cancelled

    async def _push(self, adapter: Champion) -> None:
        """One at a time."""
        async with self._healing:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._heal, adapter)
