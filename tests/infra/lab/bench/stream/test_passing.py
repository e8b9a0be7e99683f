"""What predict is given to pass on, and the stand-in for the engine that answers it at once."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

import pytest

from infra.lab.bench.stream import asked, engine
from infra.local.ports import HOST, free_port
from schemas.decoding import decode
from schemas.events import ListingRequest
from schemas.values import is_valid
from serving.errors import Cancelled, TimedOut, Unavailable
from serving.generation import GenerationRequest
from serving.listing import Listing
from serving.settings import ServingSettings
from serving.triton.client import TritonClient
from serving.triton.protocol import encode_answer

SCHEMA = asked.schema()
REQUEST = GenerationRequest(Listing("l", SCHEMA.category, "A title"), SCHEMA.attributes)


def with_the_engine(work: Callable[[TritonClient], Coroutine[Any, Any, None]]) -> None:
    """Runs `work` beside the stand-in, with a client of it."""

    async def both() -> None:
        port = free_port()
        server = await engine.start(port, encode_answer(asked.answer(SCHEMA)))
        with TritonClient(ServingSettings(triton_url=f"{HOST}:{port}")) as client:
            await work(client)
        await server.stop(None)

    asyncio.run(both())


def test_each_request_asks_for_50_attributes_about_2000_characters() -> None:
    sent = list(asked.requests(SCHEMA, 20))
    assert len({listing_id for listing_id, _ in sent}) == 20
    for listing_id, payload in sent:
        request = decode(ListingRequest, payload)
        assert (request.listing_key, len(request.description)) == (listing_id, asked.TEXT)
        assert request.category_schema_hash == SCHEMA.hash
    assert len(SCHEMA.attributes) == 50


def test_the_answer_fills_every_attribute_with_legal_values() -> None:
    answer = asked.answer(SCHEMA)
    for attribute in SCHEMA.attributes:
        assert is_valid(attribute, answer.values[attribute.name])
        assert answer.confidence[attribute.name] <= 1


def test_many_ask_the_stand_in_at_once_as_they_ask_triton() -> None:
    async def ask(client: TritonClient) -> None:
        answers = await asyncio.gather(*(client.ask(REQUEST) for _ in range(50)))
        assert {str(one) for one in answers} == {str(asked.answer(SCHEMA))}

    with_the_engine(ask)


def test_who_gave_up_before_is_not_asked_for() -> None:
    async def ask(client: TritonClient) -> None:
        give_up: Future[None] = Future()
        assert await client.ask(REQUEST, give_up=give_up)
        give_up.set_result(None)
        with pytest.raises(Cancelled):
            await client.ask(REQUEST, give_up=give_up)

    with_the_engine(ask)


def test_in_an_event_loop_too_nobody_there_is_said() -> None:
    client = TritonClient(ServingSettings(triton_url=f"{HOST}:{free_port()}"))
    with pytest.raises((Unavailable, TimedOut)):
        asyncio.run(client.ask(REQUEST, timeout_s=5))
