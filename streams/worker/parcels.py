"""Many records through Faust at the price of one.

Faust makes two tasks, a message and an event of each record, which costs more than to decode it and
write it to DuckDB. `Parcels` is its hook for the order in which fetched records are delivered: it
cuts what was fetched of a partition into parcels, which take Faust's usual way (flow control,
rebalance, the agent's buffer) as if each were a record. An agent finds the parcel, a `Stretch`, in
`event.message.value`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

from streams.worker.fetching import Stretch

PARCEL_RECORDS = 200
BUFFERED = 50
"""Parcels that wait for the agent; once they do, Faust passes a partition over for up to 1 s."""


class Parcels(DefaultSchedulingStrategy):
    """Delivers a stretch of records, in the order of the log, where Faust delivers one record."""

    def iterate(self, records: Mapping[TP, Any]) -> Iterator[tuple[TP, Any]]:
        """Parcels in turns of topics and partitions; `records` are stretches."""
        return super().iterate({tp: _parcels(of_tp) for tp, of_tp in records.items()})


def _parcels(stretch: Stretch) -> list[Any]:
    return [part.as_record() for part in stretch.parts(PARCEL_RECORDS)]
