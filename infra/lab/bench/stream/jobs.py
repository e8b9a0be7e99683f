"""What the processes of the stream benchmark are told to do."""

from dataclasses import dataclass
from typing import Any

HELDOUT: dict[str, Any] = {"heldout_share": 0.1, "heldout_most": 1000, "heldout_least": 1}
"""Settings of the streams: as the profile `paper`, but that the first round need not wait."""


@dataclass(frozen=True)
class LoopJob:
    """What a loop is to read.

    Attributes:
        way: key of `infra.lab.bench.stream_loops.WAYS`.
        count: events on `topics`; the loop ends with the last of them.
        folder: for the DuckDB file.
        batch: events a statement.
    """

    way: str
    bootstrap_servers: str
    topics: list[str]
    count: int
    folder: str
    batch: int


@dataclass(frozen=True)
class PoolJob:
    """How large a pool to make, in `folder`.

    Attributes:
        rows: listings.
        k: of what is selected from them.
        batch, full_batch: new reviews in each of the micro-batches that are applied to the full
            pool, of a moderate load and of a backlog.
    """

    folder: str
    rows: int
    k: int = 1000
    batch: int = 500
    full_batch: int = 4000
