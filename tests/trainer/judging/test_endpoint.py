"""A chat endpoint on this machine: what it is asked, and what becomes of its answers."""

from collections.abc import Iterator
from typing import Any

import pytest

from serving.generation import GenerationRequest, GenerationResult
from serving.settings import EndpointSettings
from tests.builders import evaluated, make_rows
from tests.chat import Chat, chatting
from trainer.errors import EndpointError
from trainer.judging.endpoint import Endpoint
from trainer.judging.evaluate import EvaluationKey

ROW = make_rows(1)[0]


@pytest.fixture
def chat() -> Iterator[Chat]:
    with chatting() as made:
        yield made


def endpoint(chat: Chat, **settings: Any) -> Endpoint:
    given = {"url": chat.url, "model": "small", "pause_s": 0.01, "timeout_s": 5.0, **settings}
    return Endpoint(EndpointSettings(**given), max_trunk_tokens=1024)


def ask(asked: Endpoint) -> GenerationResult:
    return asked.generate(GenerationRequest(ROW.listing, ROW.attributes))


def test_an_answer_is_read_as_leniently_as_our_own(chat: Chat) -> None:
    chat.says(
        '<think>{"colour": "blue"}</think>Here it is:\n```json\n{"colour": " RED ", "material": '
        'null, "weight": 5, "washable": true, "uses": ["tea", "soup"], "price": "1"}\n```'
    )
    result = ask(endpoint(chat))
    assert result.values == {"colour": ["red"], "washable": ["yes"], "uses": ["tea", "soup"]}
    assert result.invalid == {"weight": "5"}  # the schema asks for a unit
    assert (result.tokens_computed, result.logits_computed) == (70, 20)


def test_it_is_asked_with_the_product_the_attributes_and_the_key(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.says("{}")
    monkeypatch.delenv("LISTUNE_ENDPOINT_KEY", raising=False)
    ask(endpoint(chat))
    monkeypatch.setenv("LISTUNE_ENDPOINT_KEY", "secret")
    ask(endpoint(chat))
    (asked, _), (without, with_key) = chat.asked, chat.headers
    assert (asked["path"], asked["model"]) == ("/v1/chat/completions", "small")
    text = asked["messages"][-1]["content"]
    assert ROW.listing.title in text
    assert "- colour (red, blue, green)" in text
    assert "Authorization" not in without
    assert with_key["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("content", ["I do not know.", "[1, 2]", '{"colour": "red"', "{" * 5000])
def test_an_answer_without_an_object_is_a_blank_and_is_counted(chat: Chat, content: str) -> None:
    chat.says(content)
    asked = endpoint(chat)
    assert (ask(asked).values, ask(asked).invalid) == ({}, {})
    assert asked.bad_answers == 2


def test_a_reply_of_another_form_is_a_bad_answer_too(chat: Chat) -> None:
    chat.replies = [(200, "<html>"), (200, "[]"), (200, '{"choices": []}')]
    asked = endpoint(chat)
    assert [ask(asked).values for _ in range(3)] == [{}, {}, {}]
    assert asked.bad_answers == 3


def test_a_busy_endpoint_is_asked_again(chat: Chat) -> None:
    chat.replies = [(503, "busy"), (429, "slower")]
    chat.says('{"colour": "red"}')
    assert ask(endpoint(chat)).values == {"colour": ["red"]}
    assert len(chat.asked) == 3


def test_it_is_not_asked_for_ever(chat: Chat) -> None:
    chat.replies = [(503, "busy")]
    with pytest.raises(EndpointError, match="answers 503: busy, after 2 attempts"):
        ask(endpoint(chat, attempts=2))
    assert len(chat.asked) == 2


def test_a_refusal_is_not_asked_again_and_says_what_to_check(chat: Chat) -> None:
    chat.replies = [(401, "no such key")]
    with pytest.raises(EndpointError, match=r"401: no such key; check .* LISTUNE_ENDPOINT_KEY"):
        ask(endpoint(chat))
    assert len(chat.asked) == 1


def test_an_endpoint_that_is_not_there_is_said_to_be(chat: Chat) -> None:
    nowhere = chat.url.replace(str(chat.server.server_port), "1")
    with pytest.raises(EndpointError, match=r"does not answer .* after 2 attempts"):
        ask(endpoint(chat, url=nowhere, attempts=2))


def test_it_is_evaluated_as_an_adapter_is(chat: Chat) -> None:
    chat.says('{"colour": "red", "material": "wood"}')
    rows = make_rows(6)
    key = EvaluationKey.of_baseline("endpoint:small", "c" * 64)
    made = evaluated(endpoint(chat), rows, key)
    assert made.metrics(0.25).completeness.value == pytest.approx(2 / 5)
    assert [score.listing_id for score in made.listings] == [r.listing.listing_id for r in rows]
