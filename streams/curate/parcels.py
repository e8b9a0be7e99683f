"""Many records through Faust at the price of one.

Faust makes two tasks, a message and an event of each record, which costs more than to decode it and
write it to DuckDB. `Parcels` is its hook for the order in which fetched records are delivered: it
ties a partition's records into parcels, which take Faust's usual way (flow control, rebalance, the
agent's buffer) as if each were a record. An agent finds the records in `event.message.value`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

PARCEL_RECORDS = 200
BUFFERED = 50
"""Parcels that wait for the agent; once they do, Faust passes a partition over for up to 1 s."""


class Parcels(DefaultSchedulingStrategy):
    """Delivers a list of records, in the order of the log, where Faust delivers one."""

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """Parcels in turns of topics and partitions."""
        return super().iterate({tp: _parcels(of_tp) for tp, of_tp in records.items()})


def _parcels(records: list[Any]) -> list[Any]:
    """Each stands where its last record does: what Faust has read then is all of it."""
    starts = range(0, len(records), PARCEL_RECORDS)
    parts = [records[start : start + PARCEL_RECORDS] for start in starts]
    return [replace(part[-1], key=None, value=part, headers=()) for part in parts]
