"""The AsyncAPI document says of every event what the SDK and the workers really send."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from schemas.asyncapi import CHANNELS, asyncapi_document
from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import Event, ListingForgotten, ModelEventKind
from schemas.topic_names import (
    BACKFILL,
    DEAD_LETTERS,
    FORGOTTEN,
    MODEL_EVENTS,
    PREDICTIONS,
    REQUESTS,
    RETRAIN,
    REVIEWS,
)
from streams.kafka.topics import topic_specs
from streams.producer import ListuneClient
from streams.settings import StreamsSettings
from streams.worker.dead_letters import to_dead_letter
from tests.streams.world import SCHEMAS, SUBMITTED, World, prediction, request

DOCUMENT = asyncapi_document()


def references(node: Any) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(node, dict):
        yield from (value for name, value in node.items() if name == "$ref")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def payload_schema(topic: str) -> dict[str, Any]:
    [message] = DOCUMENT["channels"][topic]["messages"].values()
    payload: dict[str, Any] = message["payload"]
    return payload


def faults(topic: str, payload: bytes) -> list[str]:
    """What the document says against a record's payload."""
    # The whole document around it, so that references are found.
    validator = Draft7Validator(DOCUMENT | payload_schema(topic))
    return [error.message for error in validator.iter_errors(json.loads(payload))]


def sdk_events() -> dict[str, Event]:
    """A request and a review as the SDK sends them; no broker need take them."""
    client = ListuneClient(StreamsSettings(bootstrap_servers="127.0.0.1:1"), SCHEMAS)
    asked = client.request(
        listing_id="4711", category="Lamps", title="Lamp", requested=["Colour"], mode="free"
    )
    reviewed = client.review(prediction(asked), shown={"Colour": ["red"]}, submitted=SUBMITTED)
    client.close()
    return {REQUESTS: asked, REVIEWS: reviewed}


def workers_events(folder: Path) -> dict[str, Event]:
    """What the workers write, and an operator's commands."""
    world = World(folder)
    world.sell_many(4)
    [retrain] = world.step()
    world.train(ModelEventKind.PROPOSED)
    [promoted] = world.step()
    asked = sdk_events()[REQUESTS]
    answer = world.sell("later", filled=2, confidence={"Colour": 0.5})
    [order] = world.step()
    world.pool.close()
    letter = to_dead_letter(REVIEWS, 0, 42, b"4711", asked.to_bytes(), EventError("invalid", "x"))
    forgotten = ListingForgotten(listing_sha256="0" * 64)
    return {
        BACKFILL: order, PREDICTIONS: answer, RETRAIN: retrain, MODEL_EVENTS: promoted,
        DEAD_LETTERS: letter, FORGOTTEN: forgotten,
    }  # fmt: skip


def test_events_of_every_topic_are_as_the_document_says(tmp_path: Path) -> None:
    events = sdk_events() | workers_events(tmp_path)
    assert events.keys() == DOCUMENT["channels"].keys()
    for topic, event in events.items():
        assert faults(topic, event.to_bytes()) == []


def test_every_topic_is_a_channel_with_its_address_key_and_direction() -> None:
    assert [c["address"] for c in asyncapi_document("de.")["channels"].values()] == [
        f"de.{channel.topic}" for channel in CHANNELS
    ]
    specs = {spec.name for spec in topic_specs(StreamsSettings())}
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == specs
    for channel in DOCUMENT["channels"].values():
        [message] = channel["messages"].values()
        assert message["bindings"]["kafka"]["key"]["description"]
    actions = {topic: entry["action"] for topic, entry in DOCUMENT["operations"].items()}
    assert {topic for topic, action in actions.items() if action == "receive"} == {
        REQUESTS,
        REVIEWS,
    }
    reply = DOCUMENT["operations"][REQUESTS]["reply"]["channel"]["$ref"]
    assert reply == f"#/channels/{PREDICTIONS}"
    key = DOCUMENT["channels"][REQUESTS]["messages"]["ListingRequest"]["bindings"]["kafka"]["key"]
    assert "partitioner=murmur2_random" in key["description"]


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 10
    for reference in found:
        node = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            assert step in node, reference
            node = node[step]


LEAST_REQUEST = {"request_id": "q", "listing_id": "l", "category": "Lamps"}
LEAST_REVIEW = LEAST_REQUEST | {"review_id": "v", "prediction_id": "p"}


@pytest.mark.parametrize(("topic", "least"), [(REQUESTS, LEAST_REQUEST), (REVIEWS, LEAST_REVIEW)])
def test_what_others_send_may_leave_out_what_has_a_default(
    topic: str, least: dict[str, Any]
) -> None:
    kind = next(channel.event for channel in CHANNELS if channel.topic == topic)
    assert faults(topic, json.dumps(least).encode()) == []
    assert decode(kind, json.dumps(least).encode())
    for name in least:
        without = json.dumps({n: value for n, value in least.items() if n != name}).encode()
        assert faults(topic, without)
        with pytest.raises(EventError):
            decode(kind, without)


@pytest.mark.parametrize(
    "wrong",
    [
        {"submitted": {"Height": 30}},
        {"submitted": {"Dimmable": [True]}},
        {"created_ms": "now"},
        {"listing_id": ""},
        {"schema_version": 2},
    ],
)
def test_what_a_reader_refuses_the_document_refuses_too(wrong: dict[str, Any]) -> None:
    assert faults(REVIEWS, json.dumps(LEAST_REVIEW | wrong).encode())


def test_what_listune_writes_has_every_field() -> None:
    written = json.loads(prediction(request("a")).to_bytes())
    for name in written:
        without = {n: value for n, value in written.items() if n != name}
        assert faults(PREDICTIONS, json.dumps(without).encode()), name
