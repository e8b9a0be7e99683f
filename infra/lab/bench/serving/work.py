"""What an arm's process is told to do, and what a way of answering listings looks like to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from infra.lab.bench.results import Scalar
from infra.lab.bench.serving.workload import Plan


class NotRun(Exception):
    """This arm cannot run here; the message is the reason, for the reader of the table."""


@dataclass(frozen=True)
class Work:
    """What answering cost, as far as the way can count it; None where it cannot."""

    forward_passes: int | None = None
    tokens_computed: int | None = None
    logits_computed: int | None = None
    tokens_generated: int | None = None


class Way(Protocol):
    """A way to answer listings, loaded and ready."""

    def answer(self, plan: Plan) -> Work:
        """Answer one listing, alone."""
        ...

    def answer_all(self, plans: Sequence[Plan], in_flight: int, done: Callable[[], None]) -> Work:
        """Answer `plans`, `in_flight` at a time, calling `done` after each."""
        ...

    def about(self) -> dict[str, Scalar]:
        """What it chose by itself: its number type, for example."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True)
class Job:
    """One arm's measurement, as handed to its process.

    Attributes:
        way: which way, a key of `infra.lab.bench.arm.WAYS`.
        options: what the way is told.
        base: folder of the base model.
        workload: file of the workload.
        listings: answered one at a time at most; fewer where `budget_s` seconds have passed.
        least: answered one at a time at least.
        budget_s: see `listings`.
        in_flight: how many at a time in the second measurement; 0 leaves it out.
        crowd, slow_crowd: listings in the second measurement, where one alone takes less than
            `slow_s` seconds, and where it takes longer.
    """

    way: str
    base: str
    workload: str
    options: dict[str, Scalar] = field(default_factory=dict)
    listings: int = 24
    least: int = 3
    budget_s: float = 60.0
    in_flight: int = 32
    crowd: int = 64
    slow_crowd: int = 32
    slow_s: float = 10.0
