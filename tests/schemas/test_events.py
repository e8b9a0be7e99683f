"""The events on the wire: what comes back as it was, and what is refused with which reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import EventError
from schemas.events import (
    ListingPrediction,
    ListingRequest,
    ListingReview,
    ModelEvent,
    ModelEventKind,
    Purpose,
    Status,
    decode,
)

texts = st.text(st.characters(codec="utf-8"), max_size=40)
REQUEST: dict[str, Any] = {
    "request_id": "r",
    "listing_id": "l",
    "category": "Lamps",
    "category_schema_hash": "h",
}


def record(**fields: Any) -> bytes:
    """A request on the wire, with `fields` changed."""
    return json.dumps(REQUEST | fields).encode()


@given(texts, texts, st.dictionaries(texts, st.lists(texts)))
def test_events_come_back_as_they_were_sent(
    title: str, description: str, values: dict[str, list[str]]
) -> None:
    request = ListingRequest(**REQUEST, title=title, description=description)
    assert decode(ListingRequest, request.to_bytes()) == request
    review = ListingReview(
        review_id="v", prediction_id="p", **REQUEST, shown=values, submitted=values
    )
    assert decode(ListingReview, review.to_bytes()) == review


@pytest.mark.parametrize(
    ("fields", "expires_ms"),
    [
        ({}, None),
        ({"patience_ms": 5_000}, 1_005_000),
        # By a clock that is 130 s slow: what counts is the time between the two.
        ({"created_ms": 870_000, "deadline_ms": 875_000}, 1_005_000),
        ({"created_ms": 870_000, "deadline_ms": 875_000, "patience_ms": 1}, 1_000_001),
        ({"deadline_ms": 1_002_000}, 1_002_000),  # there is nothing to compare it with
    ],
)
def test_patience_counts_from_the_records_time_in_kafka(
    fields: dict[str, int], expires_ms: int | None
) -> None:
    assert decode(ListingRequest, record(**fields)).expires_ms(1_000_000) == expires_ms


def test_a_newer_producers_field_is_tolerated() -> None:
    assert decode(ListingRequest, record(colour_of_the_week="red")).listing_id == "l"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"{", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"[]", "invalid"),
        (b"{}", "invalid"),
        (b"[" * 40 + b"]" * 40, "too_deep"),
        (record(title="x" * 200), "too_large"),
        (record(title=5), "invalid"),
        (record(deadline_ms="5"), "invalid"),
        (record(deadline_ms=1.5), "invalid"),
        (record(patience_ms=0), "invalid"),
        (record(patience_ms="5"), "invalid"),
        (record(schema_version=2), "invalid"),
        (record(listing_id=""), "invalid"),
        (record(purpose="other"), "invalid"),
        (record(title="\ud800"), "not_json"),
    ],
)
def test_what_is_no_event_of_ours_is_refused_with_a_reason(
    payload: bytes | None, reason: str
) -> None:
    with pytest.raises(EventError) as caught:
        decode(ListingRequest, payload, max_bytes=250)
    assert caught.value.reason == reason


def test_the_message_names_the_field() -> None:
    with pytest.raises(EventError, match=r"ListingRequest: images\.1: .*string"):
        decode(ListingRequest, record(images=["a", 5]))


def test_brackets_inside_of_a_text_are_no_depth() -> None:
    title = '[{"' * 50 + "\\"
    assert decode(ListingRequest, record(title=title)).title == title


@pytest.mark.parametrize("around", ['"{}"', '"\\\\{}"', '"{}\\""'])
def test_depth_is_counted_outside_of_texts_only(around: str) -> None:
    """With and without escapes in them; of the 32 levels the record itself is one."""

    def nested(levels: int) -> bytes:
        deep = "[" * levels + around.format("[" * 40) + "]" * levels
        return record(extra=0).replace(b"0}", f"{deep}}}".encode())

    assert decode(ListingRequest, nested(31)).listing_id == "l"
    with pytest.raises(EventError, match="nested deeper than 32"):
        decode(ListingRequest, nested(32))


def depth(text: str) -> int:
    """By the letter: how deep brackets nest at most, outside of strings."""
    deepest = level = 0
    inside = escaped = False
    for letter in text:
        if inside:
            inside = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            inside = True
        else:
            level += (letter in "[{") - (letter in "]}")
            deepest = max(deepest, level)
    return deepest


PIECES = ["[", "]", "{", "}", "[]", "{}", '""', '"', '"["', '"]"', "\\", '\\"', "a"]
PIECES += ["[" * 16, "{" * 16, "]" * 16, "[{" * 8, "}]" * 8]


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_too_deep_is_exactly_what_nests_deeper_than_32(text: str) -> None:
    with pytest.raises(EventError) as caught:
        decode(ListingRequest, text.encode() or b" ")
    assert (caught.value.reason == "too_deep") == (depth(text) > 32)


@given(st.binary(max_size=200))
def test_no_bytes_bring_a_reader_down(payload: bytes) -> None:
    with pytest.raises(EventError):
        decode(ListingRequest, payload)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_json_cannot_carry_on_is_refused(number: str) -> None:
    fields = json.dumps(
        REQUEST | {"prediction_id": "p", "input_hash": "i", "status": Status.OK, "confidence": {}}
    )
    payload = fields.replace('"confidence": {}', f'"confidence": {{"a": {number}}}').encode()
    with pytest.raises(EventError):
        decode(ListingPrediction, payload)


def test_a_time_that_no_clock_has_is_refused() -> None:
    """A deadline of 400 digits ended the worker that divided it, and the next, and the next."""
    with pytest.raises(EventError, match="deadline_ms"):
        decode(ListingRequest, record(deadline_ms=10**400))


def test_the_input_hash_changes_with_what_the_model_sees_and_with_nothing_else() -> None:
    request = ListingRequest(**REQUEST, title="lamp")
    assert request.input_hash() == request.model_copy(update={"request_id": "x"}).input_hash()
    for name, value in (("title", "Lamp"), ("images", ["a"]), ("requested", ["Color"])):
        assert request.model_copy(update={name: value}).input_hash() != request.input_hash()


def test_an_order_has_the_input_hash_of_its_live_request_though_the_schema_changed() -> None:
    live = ListingRequest(**REQUEST, title="lamp")
    changed = {"category_schema_hash": "new", "live_input_hash": live.input_hash()}
    order = live.model_copy(update={**changed, "purpose": Purpose.BACKFILL})
    assert order.input_hash() == live.input_hash()
    # A live request is hashed whatever it says of itself.
    assert live.model_copy(update=changed).input_hash() != live.input_hash()


def test_compaction_keeps_the_latest_champion_adapter_and_round() -> None:
    def key(kind: ModelEventKind) -> str:
        return ModelEvent(kind=kind, pool="p", round=3, adapter_id="p-r3-a1").key()

    assert key(ModelEventKind.PROMOTED) == key(ModelEventKind.ROLLED_BACK) == "alias:champion"
    assert key(ModelEventKind.PUBLISHED) == "adapter:p-r3-a1"
    assert key(ModelEventKind.REJECTED) == key(ModelEventKind.STARTED) == "round:p:3"
