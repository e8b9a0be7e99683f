"""From parcels to micro-batches: in the order of the log, each record once."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka.structs import ConsumerRecord

from schemas.category import CategorySchemas
from schemas.sources.json_schema import write_schemas
from schemas.topic_names import REVIEWS
from streams.curate.decoding import Decoder
from streams.curate.intake import Batch, Intake
from streams.kafka.partitions import Partitions
from streams.settings import StreamsSettings
from streams.worker.schema_file import SchemaFile
from tests.streams.support import listing

BEGIN = 5
PLACE = (REVIEWS, 1)


@pytest.fixture
def decoder(schemas: CategorySchemas) -> Iterator[Decoder]:
    decoder = Decoder(schemas, 10_000)
    yield decoder
    decoder.close()


class Feed:
    """An intake whose partition begins at `BEGIN`."""

    def __init__(self, folder: Path, schemas: CategorySchemas, decoder: Decoder) -> None:
        settings = StreamsSettings(micro_batch_events=4, micro_batch_s=0.5, pool_dir=folder)
        write_schemas(folder / "schema.json", schemas)
        self.partitions = Partitions()
        self.partitions.begin({PLACE: BEGIN})
        schema_file = SchemaFile(folder / "schema.json", 1)
        self.intake = Intake(settings, self.partitions, decoder, schema_file)
        self.review = listing(schemas, "a")[2].to_bytes()

    def parcel(self, offsets: Sequence[int]) -> list[ConsumerRecord[bytes, bytes]]:
        return [
            ConsumerRecord(*PLACE, at, 1_000 + at, 0, b"key", self.review, None, 3, 5, ())
            for at in offsets
        ]


@pytest.fixture
def feed(tmp_path: Path, schemas: CategorySchemas, decoder: Decoder) -> Feed:
    return Feed(tmp_path, schemas, decoder)


def taken(feed: Feed, parcels: Sequence[Sequence[ConsumerRecord[bytes, bytes]]]) -> Batch:
    """The first micro-batch of what Faust delivers."""

    async def scenario() -> Batch:
        running = asyncio.create_task(feed.intake.run())
        for parcel in parcels:
            await feed.intake.queue.put(parcel)
        batch = await feed.intake.take()
        running.cancel()
        return batch

    return asyncio.run(scenario())


def test_what_was_applied_comes_twice_or_lies_behind_a_gap_is_passed_over(feed: Feed) -> None:
    parcels = [feed.parcel(offsets) for offsets in ([3, 4, 5, 6], [6, 7, 9], [8, 10], [9])]
    records = taken(feed, parcels).records
    assert [record.offset for record in records] == [5, 6, 7, 8]
    assert all(record.row and record.row["listing_id"] == "a" for record in records)
    assert feed.partitions.expected(PLACE) == 10


def test_a_batch_comes_with_the_dead_letters_of_its_records(feed: Feed) -> None:
    feed.review, good = b"{", feed.review
    bad = feed.parcel([5, 6])
    feed.review = good
    batch = taken(feed, [bad, feed.parcel([7, 8])])
    assert [record.row is None for record in batch.records] == [True, True, False, False]
    assert [letter.offset for letter in batch.letters] == [5, 6]


def test_a_batch_that_does_not_fill_is_taken_after_a_while(feed: Feed) -> None:
    assert taken(feed, []) == Batch([], [])
