"""What an endpoint answers is read with care, and never guessed."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from serving.endpoint.arm import EndpointArm
from serving.endpoint.client import MAX_ANSWER_BYTES
from tests.chat import Chat
from tests.serving.endpoint.asking import GOOD, REQUEST, refused
from tests.serving.helpers import EVERY_KIND

# -------------------------------------------------------------------------------- what it answers


def test_an_answer_names_the_endpoint_in_the_place_of_an_adapter(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says(GOOD)
    result = make_arm().answer(REQUEST, 5.0)
    assert result.values == {"Colour": ["dark blue"], "Washable": ["yes"]}
    assert (result.adapter_id, result.adapter_hash) == ("endpoint:small", "endpoint:small")
    assert (result.tokens_computed, result.logits_computed) == (70, 20)


@pytest.mark.parametrize(
    "content", [f"```json\n{GOOD}\n```", f"Here it is: {GOOD} Enjoy!", f"<think>{{</think>{GOOD}"]
)
def test_an_object_among_other_words_is_read(
    chat: Chat, make_arm: Callable[..., EndpointArm], content: str
) -> None:
    chat.says(content)
    assert make_arm().answer(REQUEST).values["Colour"] == ["dark blue"]


def test_values_of_a_wrong_type_are_blank_or_illegal_and_never_a_fault(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    given = {"Colour": {"a": 1}, "Washable": 7, "SKU": [None, []], "Since": 1e999, "Other": "x"}
    chat.says(json.dumps(given | {"Brand": "Lux\ud800"}))
    result = make_arm().answer(REQUEST)
    assert result.values == {"Brand": ["Lux?"]}
    assert set(result.invalid) == {"Washable", "Since"}


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": -1, "completion_tokens": 1 << 70}])
def test_tokens_that_are_not_counted_are_none(
    chat: Chat, make_arm: Callable[..., EndpointArm], usage: Any
) -> None:
    chat.says(GOOD, usage=usage)
    assert make_arm().answer(REQUEST).tokens_computed == 0


def test_the_answer_is_held_to_json_where_that_is_set(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says(GOOD)
    for kind in ("text", "json_object", "json_schema"):
        make_arm(answer_format=kind).answer(REQUEST)
    text, any_object, by_schema = chat.asked
    assert "response_format" not in text
    assert any_object["response_format"] == {"type": "json_object"}
    schema = by_schema["response_format"]["json_schema"]["schema"]
    Draft202012Validator.check_schema(schema)
    accepts = Draft202012Validator(schema).is_valid
    blank = {a.name: [] if a.multi_value else None for a in EVERY_KIND}
    assert accepts(blank | {"Colour": "red", "Washable": True, "Ports": ["USB"], "Weight": "2 kg"})
    for wrong in ({"Colour": "pink"}, {"Ports": ["USB"] * 3}, {"Brand": "x" * 13}, {"More": "x"}):
        assert not accepts(blank | wrong)
    assert not accepts({})


# ------------------------------------------------------------------------------------ bad answers


@pytest.mark.parametrize(
    "content",
    ["A fine blue lamp.", "", '["Colour"]', '{"Colour": "dark blue", "Washab', f"{GOOD} {GOOD}"],
)
def test_prose_and_half_an_object_are_bad_answers_and_nothing_is_guessed(
    chat: Chat, make_arm: Callable[..., EndpointArm], content: str
) -> None:
    chat.says(content)
    error = refused(make_arm())
    assert (error.reason, error.text) == ("bad_answer", content)
    assert len(chat.asked) == 1


@pytest.mark.parametrize("reply", ["<html>", "[]", "", '{"choices": [{"message": "hi"}]}', "\xff"])
def test_a_reply_of_another_form_is_a_bad_answer(
    chat: Chat, make_arm: Callable[..., EndpointArm], reply: str
) -> None:
    chat.replies = [(200, reply)]
    error = refused(make_arm())
    assert (error.reason, error.text) == ("bad_answer", None)


def test_an_answer_that_was_cut_off_tells_what_to_raise(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    chat.says('{"Colour": "dark', finish="length")
    error = refused(make_arm())
    assert error.reason == "bad_answer"
    assert "max_tokens" in str(error)


def test_a_huge_answer_is_not_read_to_its_end(
    chat: Chat, make_arm: Callable[..., EndpointArm]
) -> None:
    sent = 0

    def huge(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        try:
            while sent < 20 * MAX_ANSWER_BYTES:
                sent += handler.wfile.write(b"{" * (1 << 20))
        except OSError:
            pass

    chat.does(huge)
    assert refused(make_arm()).reason == "bad_answer"
    assert sent < 20 * MAX_ANSWER_BYTES


def test_an_answer_does_not_stand_in_the_message(
    chat: Chat, make_arm: Callable[..., EndpointArm], caplog: pytest.LogCaptureFixture
) -> None:
    chat.says("The seller lives in Elm Street.")
    assert "Elm Street" not in f"{refused(make_arm())} {caplog.text}"
