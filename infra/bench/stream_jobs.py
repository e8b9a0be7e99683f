"""What the processes of the stream benchmark are told to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LoopJob:
    """What a loop is to read.

    Attributes:
        way: key of `infra.bench.stream_loops.WAYS`.
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
        k, v: of what is selected from them.
        batch, full_batch: new reviews in each of the micro-batches that are applied to the full
            pool, of a moderate load and of a backlog.
    """

    folder: str
    rows: int
    k: int = 1000
    v: int = 100
    batch: int = 500
    full_batch: int = 4000
