"""Events decoded in another process: as they would be here, and in their order."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from infra.lab.bench.stream.events import make
from schemas.category import CategorySchemas
from schemas.errors import EventError, ListuneError
from schemas.events import ListingReview
from schemas.topic_names import PREDICTIONS, REQUESTS, REVIEWS
from schemas.versions import SchemaVersions
from streams.curate.decoding import Decoded, Decoder, Parcel, Raw
from streams.pool.rows import row_of
from tests.streams.support import listing

LIMIT = 10_000


@pytest.fixture
def decoder(schemas: CategorySchemas) -> Iterator[Decoder]:
    decoder = Decoder(schemas, LIMIT)
    yield decoder
    decoder.close()


def decode(decoder: Decoder, topic: str, payloads: Sequence[bytes | None]) -> Decoded:
    raws: list[Raw] = [(7 + n, 1_000 + n, payload) for n, payload in enumerate(payloads)]
    return asyncio.run(decoder.decode(Parcel(topic, 3, raws)))


def test_rows_are_those_that_are_made_here(decoder: Decoder, schemas: CategorySchemas) -> None:
    for topic, event in zip((REQUESTS, PREDICTIONS, REVIEWS), listing(schemas, "a"), strict=True):
        payload = event.to_bytes()
        found = decode(decoder, topic, [payload])
        read = type(event).model_validate_json(payload)
        assert found.rows == [row_of(read, SchemaVersions(schemas), 3, 7, 1_000)]
        assert not found.unknown


def test_a_request_that_says_no_time_has_the_same_row_whenever_it_is_read(
    decoder: Decoder,
) -> None:
    """A pool that is rebuilt from the topics is compared with the live one row by row."""
    asked = b'{"request_id": "q", "listing_id": "l", "category": "Lamps", "created_ms": null}'
    [first, again] = (decode(decoder, REQUESTS, [asked]).rows[0] for _ in range(2))
    assert first == again
    assert isinstance(first, dict)
    assert "created_ms" not in str(first["payload"])


def test_each_record_has_its_row_or_the_reason_why_it_has_none(
    decoder: Decoder, schemas: CategorySchemas
) -> None:
    good = listing(schemas, "a")[0].to_bytes()
    found = decode(decoder, REQUESTS, [good, None, b"{", good.ljust(LIMIT + 1), good])
    reasons = [row.reason if isinstance(row, EventError) else row["offset"] for row in found.rows]
    assert reasons == [7, "empty", "not_json", "too_large", 11]


def test_acceptance_is_counted_by_the_schema_that_a_review_was_made_under(
    decoder: Decoder, schemas: CategorySchemas
) -> None:
    others, events = make(1)
    review = ListingReview.model_validate_json(events[0].review)
    assert decode(decoder, REVIEWS, [events[0].review]).unknown
    assert decoder.take(others)
    assert not decoder.take(others)
    found = decode(decoder, REVIEWS, [events[0].review, listing(schemas, "a")[2].to_bytes()])
    assert not found.unknown, "the schemas before are known as well"
    assert found.rows[0] == row_of(review, SchemaVersions(others), 3, 7, 1_000)


def test_who_waits_for_a_process_that_is_gone_is_told(decoder: Decoder) -> None:
    decoder.close()
    for _ in range(2):
        with pytest.raises(ListuneError, match="the process that decodes has ended"):
            decode(decoder, REQUESTS, [b"{}"])
