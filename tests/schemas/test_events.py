"""The events on the wire: what comes back as it was, and what is refused with which reason."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import (
    ListingPrediction,
    ListingRequest,
    ListingReview,
    ModelEvent,
    ModelEventKind,
    Purpose,
    Status,
)
from schemas.identity import apart

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


def test_two_sellers_may_use_one_sku() -> None:
    keys = {
        decode(ListingRequest, record(listing_id="4711", **seller)).listing_key
        for seller in ({}, {"seller_id": "anna"}, {"seller_id": "ben"})
    }
    assert keys == {"4711", "anna\x1f4711", "ben\x1f4711"}
    assert {apart(key) for key in keys} == {("4711", None), ("4711", "anna"), ("4711", "ben")}


def test_neither_seller_nor_tags_change_what_the_model_sees() -> None:
    plain = decode(ListingRequest, record())
    tagged = decode(ListingRequest, record(seller_id="anna", tags={"locale": "de"}))
    assert plain.input_hash() == tagged.input_hash()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"listing_id": "a\x1fb"}, "listing_id: .*U\\+001F.* drop it"),
        ({"seller_id": "a\x1fb"}, "seller_id: .*U\\+001F.* drop it"),
        ({"seller_id": ""}, "seller_id: .*at least 1"),
        ({"seller_id": "s" * 201}, "seller_id: .*at most 200"),
        ({"tags": {str(n): "" for n in range(21)}}, "tags: .*at most 20"),
        ({"tags": {"": "x"}}, "tags"),
        ({"tags": {"locale": "x" * 201}}, "tags.locale: .*at most 200"),
        ({"tags": {"locale": 5}}, "tags.locale: .*string"),
    ],
)
def test_a_seller_or_tags_out_of_bounds_are_refused_by_name(
    fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(EventError, match=sentence):
        decode(ListingRequest, record(**fields))


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


# ------------------------------------------------------------------- as other languages write it


def test_null_for_an_absent_field_is_absent() -> None:
    """Java's and C#'s serialisers write every field."""
    absent = set(ListingRequest.model_fields) - {"request_id", "listing_id", "category"}
    request = decode(ListingRequest, record(**dict.fromkeys(absent, None)))
    assert request.model_dump(exclude={"created_ms"}) == ListingRequest(
        **REQUEST | {"category_schema_hash": ""}
    ).model_dump(exclude={"created_ms"})
    review = decode(
        ListingReview,
        record(review_id="v", prediction_id="p", shown=None, submitted={"Colour": None}),
    )
    assert (review.shown, review.submitted) == ({}, {})


@pytest.mark.parametrize("name", ["request_id", "listing_id", "category"])
def test_null_for_a_field_that_must_be_there_is_refused(name: str) -> None:
    with pytest.raises(EventError, match=f"{name}: null where a value is needed; send one"):
        decode(ListingRequest, record(**{name: None}))
    content = {key: value for key, value in REQUEST.items() if key != name}
    with pytest.raises(EventError, match=f"{name}: missing; send it"):
        decode(ListingRequest, json.dumps(content).encode())


def test_a_string_where_a_list_of_one_is_meant_is_taken() -> None:
    request = decode(ListingRequest, record(images="a.jpg", requested="Colour"))
    assert (request.images, request.requested) == (["a.jpg"], ["Colour"])
    values = {"Colour": "red", "Features": ["dimmable", "solar"], "Height": None}
    review = decode(
        ListingReview,
        record(review_id="v", prediction_id="p", shown=values, submitted=values),
    )
    taken = {"Colour": ["red"], "Features": ["dimmable", "solar"]}
    assert (review.shown, review.submitted) == (taken, taken)
    assert request.title == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (30, r'submitted\.Height: 30 is no string; send strings, such as "30"'),
        ([30.5], r'submitted\.Height\.0: 30\.5 is no string; send strings, such as "30\.5"'),
        (True, r'submitted\.Height: true is no string; send strings, such as "yes" or "no"'),
        ([None], r"submitted\.Height\.0: null where a value is needed"),
        (
            {"cm": "30"},
            r"submitted\.Height: an object where strings belong; send a list of strings",
        ),
    ],
)
def test_a_value_that_is_no_string_is_refused_with_what_to_send(value: Any, said: str) -> None:
    """30 what? The wire does not guess."""
    payload = record(review_id="v", prediction_id="p", submitted={"Height": value})
    with pytest.raises(EventError, match=said) as caught:
        decode(ListingReview, payload)
    assert caught.value.reason == "invalid"


def test_a_request_and_a_review_may_leave_the_schema_hash_out() -> None:
    """Then it is empty, and means the one in force."""
    content = {key: value for key, value in REQUEST.items() if key != "category_schema_hash"}
    for more in ({}, {"category_schema_hash": None}, {"category_schema_hash": ""}):
        said = json.dumps(content | more).encode()
        assert decode(ListingRequest, said).category_schema_hash == ""
        said = json.dumps(content | more | {"review_id": "v", "prediction_id": "p"}).encode()
        assert decode(ListingReview, said).category_schema_hash == ""


FRAME = b"\x00" + (7).to_bytes(4, "big")


@pytest.mark.parametrize("space", [b"", b" \n"])
def test_the_json_in_a_schema_registry_frame_is_read(space: bytes) -> None:
    assert decode(ListingRequest, FRAME + space + record(title="lamp")).title == "lamp"
    assert decode(ListingRequest, FRAME + space + record(images="a")).images == ["a"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x02r\x02l\x0aLamps",  # Avro: strings with their lengths
        b"\x00\x0a\x01r\x12\x01l",  # Protobuf: the message's index, then numbered fields
        b"{\x02r\x02l",  # begins like JSON by chance
        b"[]",
    ],
)
def test_what_is_no_json_in_a_frame_is_refused_with_that_word(content: bytes) -> None:
    with pytest.raises(EventError, match="Schema Registry frame") as caught:
        decode(ListingRequest, FRAME + content)
    assert caught.value.reason == "not_json"


@pytest.mark.parametrize("size", [1, 4, 5])
def test_a_cut_frame_is_refused(size: int) -> None:
    with pytest.raises(EventError, match="Schema Registry frame"):
        decode(ListingRequest, FRAME[:size])


def test_a_fault_in_a_framed_event_is_told_as_any_other() -> None:
    with pytest.raises(EventError, match=r"ListingRequest in a Schema Registry frame: title: 5 "):
        decode(ListingRequest, FRAME + record(title=5))
    with pytest.raises(EventError, match="nested deeper than 32"):
        decode(ListingRequest, FRAME + b'{"a":' * 40)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | texts,
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(texts, inner, max_size=3), max_leaves=8),
       st.sampled_from(sorted(ListingReview.model_fields)))  # fmt: skip
def test_whatever_stands_in_a_field_it_is_an_event_or_refused(value: Any, name: str) -> None:
    fields = {"review_id": "v", "prediction_id": "p", name: value}
    payload = json.dumps(REQUEST | fields).encode()
    with suppress(EventError):
        assert decode(ListingReview, payload).listing_id


@pytest.mark.parametrize("digits", [400, 4_000, 40_000])
def test_a_number_of_any_length_is_refused(digits: int) -> None:
    number = b"9" * digits
    for field in (b'"images":', b'"created_ms":', b'"title":'):
        with pytest.raises(EventError) as caught:
            decode(ListingRequest, record()[:-1] + b"," + field + number + b"}")
        assert len(str(caught.value)) < 300


def test_the_input_hash_changes_with_what_the_model_sees_and_with_nothing_else() -> None:
    request = ListingRequest(**REQUEST, title="lamp")
    assert request.input_hash() == request.model_copy(update={"request_id": "x"}).input_hash()
    for name, value in (("title", "Lamp"), ("images", ["a"]), ("requested", ["Color"])):
        assert request.model_copy(update={name: value}).input_hash() != request.input_hash()


@pytest.mark.parametrize("purpose", [Purpose.BACKFILL, Purpose.SHADOW])
def test_an_order_has_the_input_hash_of_its_live_request_though_the_schema_changed(
    purpose: Purpose,
) -> None:
    live = ListingRequest(**REQUEST, title="lamp")
    changed = {"category_schema_hash": "new", "live_input_hash": live.input_hash()}
    order = live.model_copy(update={**changed, "purpose": purpose})
    assert order.input_hash() == live.input_hash()
    # A live request is hashed whatever it says of itself.
    assert live.model_copy(update=changed).input_hash() != live.input_hash()


def test_compaction_keeps_the_latest_champion_adapter_and_round() -> None:
    def key(kind: ModelEventKind) -> str:
        return ModelEvent(kind=kind, pool="p", round=3, adapter_id="p-r3-a1").key()

    assert key(ModelEventKind.PROMOTED) == key(ModelEventKind.ROLLED_BACK) == "alias:champion"
    assert key(ModelEventKind.PUBLISHED) == "adapter:p-r3-a1"
    assert key(ModelEventKind.REJECTED) == key(ModelEventKind.STARTED) == "round:p:3"


def test_half_of_a_character_is_refused_with_what_to_do() -> None:
    with pytest.raises(EventError, match="cut it between characters") as caught:
        decode(ListingRequest, record(title="\ud800"))
    assert caught.value.reason == "not_json"
