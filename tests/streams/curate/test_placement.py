"""A record in another partition than its key's is counted, and told once of its topic."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas.topic_names import REQUESTS, REVIEWS
from streams import metrics
from streams.curate.placement import ALL, EVERY, Placement
from streams.kafka.topics import partition_of_key

PARTITIONS = 4
OWN = next(f"l{n}".encode() for n in range(99) if partition_of_key(f"l{n}".encode(), 4) == 1)
OTHER = next(f"l{n}".encode() for n in range(99) if partition_of_key(f"l{n}".encode(), 4) == 2)


def records(*keys: bytes | None) -> list[Any]:
    return [SimpleNamespace(key=key, offset=offset) for offset, key in enumerate(keys)]


def counted(topic: str) -> float:
    return metrics.MISPLACED.labels(topic)._value.get()


def test_a_misplaced_record_is_counted_and_its_topic_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = counted(REVIEWS), counted(REQUESTS)
    placement = Placement(PARTITIONS)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            placement.look((REVIEWS, 1), records(OWN, OTHER, OTHER))
        placement.look((REQUESTS, 3), records(OTHER))
    assert (counted(REVIEWS) - before[0], counted(REQUESTS) - before[1]) == (4, 1)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith(f"{REVIEWS}[1], offset 1: the key {OTHER!r} belongs in partition 2;")
    assert said[0].endswith("set partitioner=murmur2_random there")


def test_what_lies_where_it_belongs_and_what_has_no_key_is_not_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = counted(REVIEWS)
    Placement(PARTITIONS).look((REVIEWS, 1), records(OWN, None, OWN))
    assert counted(REVIEWS) == before
    assert caplog.records == []


def test_after_the_first_of_a_partition_one_in_so_many_is_looked_at() -> None:
    before = counted(REVIEWS)
    placement = Placement(PARTITIONS)
    parcels = (ALL + 640) // 40
    for _ in range(parcels):  # no multiple of `EVERY`: the count goes on over parcels
        placement.look((REVIEWS, 1), records(*[OTHER] * 40))
    places = range(ALL, parcels * 40)
    assert counted(REVIEWS) - before == ALL + sum(place % EVERY == 0 for place in places)


def test_a_key_belongs_where_the_java_client_puts_it() -> None:
    partitions = list(range(7))
    for n in range(200):
        key = f"listing-ü{n}".encode()
        assert partition_of_key(key, 7) == DefaultPartitioner()(key, partitions, partitions)
