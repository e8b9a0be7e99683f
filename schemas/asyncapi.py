"""The contract with producers and consumers in any language: an AsyncAPI 3 document.

It is made of the events themselves, so that it cannot say anything else: a channel for each topic,
with its record key and the JSON Schema of its events. `docs/asyncapi.json` is that of topics
without a prefix.

What others send is described as it may be sent: with a default, a field may be left out. What
Listune writes is described as this version writes it: every field is there. A reader takes more
than the document says; see `schemas.foreign`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from schemas.events import (
    SCHEMA_VERSION,
    DeadLetter,
    Event,
    ListingForgotten,
    ListingPrediction,
    ListingRequest,
    ListingReview,
    ModelEvent,
    RetrainRequest,
)
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


@dataclass(frozen=True)
class Channel:
    """One topic.

    action: what Listune does there, seen from outside: it receives what others send, or sends.
    """

    topic: str
    event: type[Event]
    action: Literal["receive", "send"]
    key: str
    about: str


LISTING_KEY = "listing_id; with a seller_id that, U+001F and the listing_id"

CHANNELS = (
    Channel(REQUESTS, ListingRequest, "receive", LISTING_KEY, "A listing service asks for values"),
    Channel(BACKFILL, ListingRequest, "send", LISTING_KEY, "The conductor orders one anew"),
    Channel(PREDICTIONS, ListingPrediction, "send", LISTING_KEY, "The answer to each request"),
    Channel(REVIEWS, ListingReview, "receive", LISTING_KEY, "What the seller made of the values"),
    Channel(RETRAIN, RetrainRequest, "send", "pool", "A round of training begins"),
    Channel(
        MODEL_EVENTS,
        ModelEvent,
        "send",
        "alias:champion, adapter:<adapter_id> or round:<pool>:<round>",
        "What happens to a round or an adapter",
    ),
    Channel(
        DEAD_LETTERS,
        DeadLetter,
        "send",
        "<topic>:<partition>:<offset> of the event",
        "An event that could not be used, and why",
    ),
    Channel(
        FORGOTTEN,
        ListingForgotten,
        "send",
        "listing_sha256; in a pool's answer listing_sha256:<pool>",
        "A listing is to be forgotten, or was",
    ),
)
_PARTITIONER = (
    ". The partition is that of Kafka's own Java client, murmur2 of the key; librdkafka, and what "
    "is built on it, needs `partitioner=murmur2_random`"
)


def asyncapi_document(prefix: str = "") -> dict[str, Any]:
    """The document as JSON has it; `prefix` stands before the name of each topic."""
    payloads, schemas = _payloads()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Listune",
            "version": str(SCHEMA_VERSION),
            "description": "Attribute values for listings, and reviews to learn from. The version "
            "is the `schema_version` of every event.",
        },
        "defaultContentType": "application/json",
        "channels": {c.topic: _channel(c, prefix, payloads[c.event]) for c in CHANNELS},
        "operations": {c.topic: _operation(c) for c in CHANNELS},
        "components": {"schemas": schemas},
    }


def _payloads() -> tuple[dict[type[Event], dict[str, Any]], dict[str, Any]]:
    """The reference to each event's schema, and all schemas by their names."""
    others_send = {channel.event for channel in CHANNELS if channel.action == "receive"}
    modes: dict[type[Event], JsonSchemaMode] = {
        channel.event: "validation" if channel.event in others_send else "serialization"
        for channel in CHANNELS
    }
    references, defined = models_json_schema(
        list(modes.items()), ref_template="#/components/schemas/{model}"
    )
    return {event: references[event, mode] for event, mode in modes.items()}, defined["$defs"]


def _channel(channel: Channel, prefix: str, payload: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": channel.event.__name__,
        "payload": payload,
        "bindings": {"kafka": {"key": _key(channel), "bindingVersion": "0.5.0"}},
    }
    if "request_id" in channel.event.model_fields:
        message["correlationId"] = {"location": "$message.payload#/request_id"}
    return {
        "address": prefix + channel.topic,
        "description": channel.about,
        "messages": {channel.event.__name__: message},
    }


def _key(channel: Channel) -> dict[str, str]:
    of_a_listing = channel.key == LISTING_KEY
    return {"type": "string", "description": channel.key + (_PARTITIONER if of_a_listing else "")}


def _operation(channel: Channel) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": channel.action,
        "channel": {"$ref": _channel_ref(channel.topic)},
    }
    if channel.topic == REQUESTS:
        operation["reply"] = {"channel": {"$ref": _channel_ref(PREDICTIONS)}}
    return operation


def _channel_ref(topic: str) -> str:
    return f"#/channels/{topic}"
