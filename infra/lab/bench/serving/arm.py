"""One arm's measurement, in a process of its own: what it is told, what a way looks like to it.

Loading and one listing come first and are not measured: kernels are built then, and caches filled.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from infra.lab.bench.job import peak_memory_mb, say
from infra.lab.bench.results import Options
from infra.lab.bench.serving.workload import ListingPlan, Workload

LISTUNE = "listune_way:ListuneWay"
WAYS = {
    "naive": "naive_way:NaiveWay",
    "openvino": "openvino_way:OpenVinoWay",
    "vllm": "vllm_way:VllmWay",
}
"""A peer to the module and class that carry it out, imported in that arm's process only."""


@dataclass(frozen=True)
class AnswerCost:
    """What answering cost, as far as the way can count it; None where it cannot."""

    forward_passes: int | None = None
    tokens_computed: int | None = None
    logits_computed: int | None = None
    tokens_generated: int | None = None


class Way(Protocol):
    """A way to answer listings, loaded and ready."""

    def answer(self, plan: ListingPlan) -> AnswerCost:
        """Answer one listing, alone."""
        ...

    def answer_all(
        self, plans: Sequence[ListingPlan], in_flight: int, done: Callable[[], None]
    ) -> AnswerCost:
        """Answer `plans`, `in_flight` at a time, calling `done` after each."""
        ...

    def about(self) -> Options:
        """What it chose by itself: its number type, for example."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True)
class ServingJob:
    """One arm's measurement, as handed to its process.

    Attributes:
        way: module and class, as in `WAYS`.
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
    options: Options = field(default_factory=dict)
    listings: int = 24
    least: int = 3
    budget_s: float = 60.0
    in_flight: int = 32
    crowd: int = 64
    slow_crowd: int = 32
    slow_s: float = 10.0


def carry_out(job: ServingJob) -> dict[str, Any]:
    """The figures, raw figures and settings of the job's row.

    Raises:
        NotRun: the way cannot run on this machine.
    """
    module, _, name = job.way.partition(":")
    load = getattr(import_module(f"{__package__}.{module}"), name)
    workload = Workload.read(Path(job.workload))
    started = time.perf_counter()
    way: Way = load(Path(job.base), workload, job.options)
    try:
        # The last listing warms up, so that the measured ones find no cache of their own.
        way.answer(workload.plans[-1])
        warm_up_s = time.perf_counter() - started
        return measure(way, workload.plans[:-1], job) | {
            "settings": way.about(),
            "warm_up_s": warm_up_s,
            "peak_memory_mb": peak_memory_mb(),
        }
    finally:
        way.close()


def measure(way: Way, plans: Sequence[ListingPlan], job: ServingJob) -> dict[str, Any]:
    """Answer listings one at a time, then many at a time; seconds and counts of each."""
    say(0, job.listings, "one at a time")
    seconds: list[float] = []
    costs: list[AnswerCost] = []
    began = time.perf_counter()
    for plan in plans[: job.listings]:
        started = time.perf_counter()
        costs.append(way.answer(plan))
        seconds.append(time.perf_counter() - started)
        say(len(seconds), job.listings, "one at a time")
        if len(seconds) >= job.least and time.perf_counter() - began > job.budget_s:
            break
    outcome: dict[str, Any] = {
        "seconds": seconds,
        "works": [asdict(cost) for cost in costs],
        "crowd": None,
    }
    if job.in_flight:
        slow = statistics.median(seconds) > job.slow_s
        crowd = plans[: job.slow_crowd if slow else job.crowd]
        outcome["crowd"] = _measure_crowd(way, crowd, job.in_flight)
    return outcome


def _measure_crowd(way: Way, plans: Sequence[ListingPlan], in_flight: int) -> dict[str, Any]:
    label = f"{in_flight} at a time"
    finished: list[float] = []
    say(0, len(plans), label)
    started = time.perf_counter()

    def done() -> None:
        finished.append(time.perf_counter() - started)
        say(len(finished), len(plans), label)

    cost = way.answer_all(plans, in_flight, done)
    return {
        "listings": len(plans),
        "seconds": time.perf_counter() - started,
        "finished": sorted(finished),
        "work": asdict(cost),
    }
