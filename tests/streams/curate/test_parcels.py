"""Records tied into parcels: all of them, in the order of the log, fairly between partitions."""

from aiokafka.structs import ConsumerRecord
from faust.types import TP

from streams.curate.parcels import PARCEL_RECORDS, Parcels

HERE, THERE = TP("listing.reviews", 0), TP("listing.reviews", 1)


def records(tp: TP, count: int) -> list[ConsumerRecord[bytes, bytes]]:
    """Of offsets 10, 11, ..."""
    return [
        ConsumerRecord(*tp, 10 + n, 1_000 + n, 0, b"key", b"value", None, 3, 5, ())
        for n in range(count)
    ]


def test_no_record_is_lost_doubled_or_moved() -> None:
    fetched = records(HERE, 2 * PARCEL_RECORDS + 3)
    parcels = list(Parcels().iterate({HERE: fetched}))
    assert [len(parcel.value) for _, parcel in parcels] == [PARCEL_RECORDS, PARCEL_RECORDS, 3]
    assert [record for _, parcel in parcels for record in parcel.value] == fetched


def test_a_parcel_stands_where_its_last_record_does() -> None:
    [(tp, parcel)] = Parcels().iterate({HERE: records(HERE, 3)})
    assert (tp, parcel.topic, parcel.partition, parcel.offset) == (HERE, *HERE, 12)


def test_partitions_take_turns() -> None:
    fetched = {HERE: records(HERE, 2 * PARCEL_RECORDS), THERE: records(THERE, PARCEL_RECORDS)}
    assert [tp for tp, _ in Parcels().iterate(fetched)] == [HERE, THERE, HERE]
