"""Records tied into parcels: all of them, in the order of the log, fairly between partitions."""

from aiokafka.structs import ConsumerRecord
from faust.types import TP

from streams.worker.fetching import Stretch
from streams.worker.parcels import PARCEL_RECORDS, Parcels

HERE, THERE = TP("listing.reviews", 0), TP("listing.reviews", 1)


def stretch(tp: TP, count: int, hole: int = 0) -> Stretch:
    """Of offsets 10, 11, ..., and a hole of so many at the end."""
    records = [
        ConsumerRecord(*tp, 10 + n, 1_000 + n, 0, b"key", b"value", None, 3, 5, ())
        for n in range(count)
    ]
    return Stretch(tp, 10, 10 + count + hole, records)


def test_no_record_is_lost_doubled_or_moved() -> None:
    fetched = stretch(HERE, 2 * PARCEL_RECORDS + 3)
    parcels = [parcel.value for _, parcel in Parcels().iterate({HERE: fetched})]
    assert [len(parcel.records) for parcel in parcels] == [PARCEL_RECORDS, PARCEL_RECORDS, 3]
    assert [record for parcel in parcels for record in parcel.records] == fetched.records


def test_parcels_reach_from_where_to_where_the_fetched_records_do() -> None:
    fetched = stretch(HERE, PARCEL_RECORDS + 1, hole=5)
    parcels = [parcel.value for _, parcel in Parcels().iterate({HERE: fetched})]
    assert [(parcel.start, parcel.stop) for parcel in parcels] == [
        (10, 10 + PARCEL_RECORDS),
        (10 + PARCEL_RECORDS, 10 + PARCEL_RECORDS + 6),
    ]


def test_a_parcel_stands_where_it_ends() -> None:
    [(tp, parcel)] = Parcels().iterate({HERE: stretch(HERE, 3)})
    assert (tp, parcel.topic, parcel.partition, parcel.offset) == (HERE, *HERE, 12)


def test_a_hole_alone_is_a_parcel_without_records() -> None:
    [(_, parcel)] = Parcels().iterate({HERE: stretch(HERE, 0, hole=4)})
    assert (parcel.offset, list(parcel.value.records)) == (13, [])


def test_partitions_take_turns() -> None:
    fetched = {HERE: stretch(HERE, 2 * PARCEL_RECORDS), THERE: stretch(THERE, PARCEL_RECORDS)}
    assert [tp for tp, _ in Parcels().iterate(fetched)] == [HERE, THERE, HERE]
