"""From parcels to micro-batches: in the order of the log, each record once."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from schemas.category import CategorySchemas
from schemas.sources.json_schema import write_schemas
from schemas.topic_names import REVIEWS
from streams.curate.decoding import Decoder
from streams.curate.intake import Batch, Intake
from streams.kafka.partitions import Partitions
from streams.settings import StreamsSettings
from streams.worker.fetching import Stretch
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

    def parcel(
        self, offsets: Sequence[int], start: int | None = None, stop: int | None = None
    ) -> Stretch:
        """Records at `offsets`; of a log that is dense, unless told otherwise."""
        records = [
            ConsumerRecord(*PLACE, at, 1_000 + at, 0, b"key", self.review, None, 3, 5, ())
            for at in offsets
        ]
        begin = offsets[0] if start is None else start
        return Stretch(TP(*PLACE), begin, stop or offsets[-1] + 1, records)


@pytest.fixture
def feed(tmp_path: Path, schemas: CategorySchemas, decoder: Decoder) -> Feed:
    return Feed(tmp_path, schemas, decoder)


def taken(feed: Feed, parcels: Sequence[Stretch]) -> Batch:
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
    parcels = [feed.parcel(offsets) for offsets in ([3, 4, 5, 6], [6, 7], [9, 10], [8], [9])]
    records = taken(feed, parcels).records
    assert [record.offset for record in records] == [5, 6, 7, 8]
    assert all(record.row and record.row["listing_id"] == "a" for record in records)
    assert feed.partitions.expected(PLACE) == 10


def test_a_hole_in_the_log_is_no_gap_and_one_at_its_end_is_passed_over(feed: Feed) -> None:
    parcels = [
        feed.parcel([6, 9], start=4, stop=12),
        feed.parcel([], start=12, stop=13),
        feed.parcel([15], start=14),  # 13 was fetched and not delivered
        feed.parcel([14], start=13),
    ]
    records = taken(feed, parcels).records
    assert [(r.since, r.offset, r.row is None) for r in records] == [
        (5, 6, False), (7, 9, False), (10, 11, True), (12, 12, True),
    ]  # fmt: skip
    assert feed.partitions.expected(PLACE) == 15


def test_a_batch_comes_with_the_dead_letters_of_its_records(feed: Feed) -> None:
    feed.review, good = b"{", feed.review
    bad = feed.parcel([5, 6])
    feed.review = good
    batch = taken(feed, [bad, feed.parcel([7, 8])])
    assert [record.row is None for record in batch.records] == [True, True, False, False]
    assert [letter.offset for letter in batch.letters] == [5, 6]


def test_a_batch_that_does_not_fill_is_taken_after_a_while(feed: Feed) -> None:
    assert taken(feed, []) == Batch([], [])
