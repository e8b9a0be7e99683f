"""Records one by one, and what is told of a hole in the log."""

from aiokafka.structs import ConsumerRecord
from faust.types import TP

from streams.worker.fetching import OneByOne, Stretch

HERE = TP("listing.requests", 0)


def record(offset: int) -> "ConsumerRecord[bytes, bytes]":
    return ConsumerRecord(*HERE, offset, 1_000, 0, b"key", b"value", None, 3, 5, ())


def test_records_come_one_by_one_and_a_hole_at_their_end_as_its_stretch() -> None:
    records = [record(5), record(7)]
    found = [one for _, one in OneByOne().iterate({HERE: Stretch(HERE, 4, 10, records)})]
    assert found[:2] == records
    assert (found[2].offset, found[2].value) == (9, Stretch(HERE, 8, 10, ()))


def test_without_a_hole_at_their_end_there_are_the_records_alone() -> None:
    fetched = Stretch(HERE, 4, 8, [record(5), record(7)])
    assert [one.value for _, one in OneByOne().iterate({HERE: fetched})] == [b"value", b"value"]


def test_a_hole_alone_is_told_as_well() -> None:
    [(_, found)] = OneByOne().iterate({HERE: Stretch(HERE, 4, 6, ())})
    assert (found.offset, found.value) == (5, Stretch(HERE, 4, 6, ()))
