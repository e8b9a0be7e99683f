"""What can be wrong with the pool.

ListuneError
└── PoolError        the pool cannot be used as it is; the message says what to do
    ├── PoolRefused  the pool and the topics disagree (also a `streams.errors.Refused`)
    └── OffsetGap    records are missing between the watermark and what was handed in
"""

from schemas.errors import ListuneError
from streams.errors import Refused


class PoolError(ListuneError):
    """The pool cannot be used as it is; one sentence that says what to do."""


class PoolRefused(PoolError, Refused):
    """The pool and the topics disagree; a person decides, starting again changes nothing."""


class OffsetGap(PoolError):
    """Records are missing: drop the buffer and seek back to `expected`. Nothing was written."""

    def __init__(self, topic: str, partition: int, expected: int, got: int) -> None:
        super().__init__(
            f"{topic}[{partition}] jumps from offset {expected} to {got}; seek back to {expected}"
        )
        self.topic = topic
        self.partition = partition
        self.expected = expected
        self.got = got
