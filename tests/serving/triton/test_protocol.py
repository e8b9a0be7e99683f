"""What goes over the wire comes back the same, and errors keep their type."""

import json
from dataclasses import replace

import pytest

from schemas.category import Attribute
from schemas.events import Mode
from serving.errors import Busy, EngineFailed, Refused, UnknownAdapter
from serving.generation import AdapterName, EngineStatus, GenerationRequest, GenerationResult
from serving.prompt import Example
from serving.triton.protocol import (
    Generate,
    Push,
    decode_answer,
    decode_message,
    decode_result,
    encode_answer,
    encode_request,
)
from tests.serving.helpers import COLOUR, EVERY_KIND, LAMP

RESULT = GenerationResult(
    {"a": ["é"]}, {"b": "?"}, {"a": 0.5, "b": 0.25}, "x", "0", 2, 3, 4, 5, 0.1
)


def test_a_generate_message_arrives_as_it_was_sent():
    sent = Generate(listing=LAMP, attributes=EVERY_KIND, batches=4, adapter_hash="0" * 64)
    assert decode_message(sent.model_dump_json().encode()) == sent
    assert sent.request().attributes == EVERY_KIND


def test_a_worked_example_arrives_as_it_was_sent():
    shown = Example(LAMP, (COLOUR,), {"Colour": ["red"]})
    sent = Generate(listing=LAMP, attributes=EVERY_KIND, example=shown)
    arrived = decode_message(sent.model_dump_json().encode())
    assert isinstance(arrived, Generate)
    assert arrived.request().example == shown


@pytest.mark.parametrize("example", [None, Example(LAMP, (COLOUR,), {"Colour": ["red"]})])
@pytest.mark.parametrize("mode", [None, Mode.CONSTRAINED])
def test_what_a_caller_asks_is_a_generate_message(mode, example):
    asked = GenerationRequest(
        LAMP, EVERY_KIND, mode, 4, "0" * 64, example, pictures=(b"one", b"three")
    )
    for _ in range(2):  # the attributes' JSON is made once
        message = decode_message(encode_request(asked))
        assert isinstance(message, Generate)
        assert message.request(payload=b"onethree") == asked


def test_attributes_of_the_same_names_are_each_asked_as_they_are():
    for colour in ("red", "blue"):
        asked = GenerationRequest(LAMP, (Attribute(name="A", type="enum", values=(colour,)),))
        message = decode_message(encode_request(asked))
        assert isinstance(message, Generate)
        assert message.attributes[0].values == (colour,)


def test_a_category_s_attributes_are_read_once():
    asked = (GenerationRequest(replace(LAMP, listing_id=name), EVERY_KIND) for name in "ab")
    one, other = (decode_message(encode_request(request)) for request in asked)
    assert isinstance(one, Generate)
    assert isinstance(other, Generate)
    assert one.attributes is other.attributes


def test_of_an_attribute_only_what_it_says_travels():
    asked = GenerationRequest(LAMP, (Attribute(name="Maker", type="text", required=True),))
    said = json.loads(encode_request(asked))["attributes"]
    assert said == [{"name": "Maker", "type": "text", "required": True}]


def test_a_result_arrives_as_it_was_sent():
    assert decode_result(encode_answer(RESULT)) == RESULT


def test_a_status_lists_adapters_by_id_and_hash():
    status = EngineStatus("b", "float32", (AdapterName("x", "0"),), 1, 0)
    assert decode_answer(encode_answer(status))["adapters"] == [{"id": "x", "hash": "0"}]


@pytest.mark.parametrize("kind", [UnknownAdapter, Busy, Refused])
def test_an_error_keeps_its_type_and_its_sentence(kind):
    with pytest.raises(kind, match="do this next"):
        decode_answer(encode_answer(kind("do this next")))


def test_an_error_of_a_newer_engine_is_a_failure():
    with pytest.raises(EngineFailed):
        decode_answer(b'{"ok": false, "error": "new_word", "message": "m"}')


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"op": "dance"}',
        b'{"op": "generate"}',
        b'{"op": "generate", "listing": {"listing_id": "1", "category": "c", "title": "t"},'
        b' "attributes": [{"name": "a", "type": "enum", "values": []}]}',
        b'{"op": "push", "adapter_id": "x", "adapter_hash": "../../etc"}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_message_is_refused_in_one_sentence(text):
    with pytest.raises(Refused) as refused:
        decode_message(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "pictures", [(0,), (-1,), (3 * 2048**2 + 1,), (1,) * 17], ids=["none", "less", "long", "many"]
)
def test_pictures_that_are_longer_or_more_than_ours_can_be_are_refused(pictures):
    sent = Generate(listing=LAMP, attributes=EVERY_KIND).model_dump() | {"pictures": pictures}
    with pytest.raises(Refused, match="pictures"):
        decode_message(json.dumps(sent, default=str).encode())


def test_a_push_names_a_hash():
    assert decode_message(Push(adapter_id="x", adapter_hash="a" * 64).model_dump_json().encode())
