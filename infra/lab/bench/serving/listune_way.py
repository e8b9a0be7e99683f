"""Ours: the engine of `serving`, in this process, without Triton and Kafka around it."""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.lab.bench.results import Options
from infra.lab.bench.serving.arm import AnswerCost
from infra.lab.bench.serving.workload import ListingPlan, Workload
from schemas.events import Mode
from serving.engine.engine import Engine, Outcome
from serving.generation import GenerationRequest
from serving.settings import ServingSettings

COUNTED = ("forward_passes", "tokens_computed", "logits_computed")
"""What the engine counts of a listing, and of all since it began."""


class ListuneWay:
    """Options: `mode`, `batches`; `dtype`, `decoder`, `device` (default auto)."""

    def __init__(self, base: Path, workload: Workload, options: Options) -> None:
        self._mode = Mode(str(options.get("mode", Mode.FREE)))
        self._batches = int(options.get("batches") or 0)
        self._store = tempfile.TemporaryDirectory()
        settings = ServingSettings.model_validate(
            {
                "dtype": options.get("dtype", "auto"),
                "decoder": options.get("decoder", "auto"),
                "device": options.get("device", "auto"),
                "adapter_store": Path(self._store.name) / "adapters",
            }
        )
        self._engine = Engine(settings, base)

    def answer(self, plan: ListingPlan) -> AnswerCost:
        """Answer one listing, alone."""
        result = self._engine.generate(self._request(plan))
        return AnswerCost(**{name: getattr(result, name) for name in COUNTED})

    def answer_all(
        self, plans: Sequence[ListingPlan], in_flight: int, done: Callable[[], None]
    ) -> AnswerCost:
        """Answer `plans`; the engine always has `in_flight` of them while there are as many."""
        before = counts(self._engine)
        requests = [self._request(plan) for plan in plans]
        answer_all(self._engine, requests, in_flight, done)
        return AnswerCost(**(counts(self._engine) - before))

    def about(self) -> Options:
        """The number type that the engine computes in, and what computes."""
        return {"dtype": self._engine.dtype, "decoder": self._engine.decoder}

    def close(self) -> None:
        """Stop the engine."""
        self._engine.close()
        self._store.cleanup()

    def _request(self, plan: ListingPlan) -> GenerationRequest:
        listing, attributes = plan.question()
        return GenerationRequest(listing, attributes, mode=self._mode, batches=self._batches)


def answer_all(
    engine: Engine,
    requests: Sequence[GenerationRequest],
    in_flight: int,
    done: Callable[[], None] = lambda: None,
) -> list[float]:
    """Answer `requests`, always `in_flight` of them while there are as many; the seconds of each.

    `done` is called after each, from a thread of the engine's.
    """
    free = threading.Semaphore(in_flight)
    failed: list[Exception] = []
    seconds = [0.0] * len(requests)

    def taking(place: int) -> Callable[[Outcome], None]:
        began = time.perf_counter()

        def take(outcome: Outcome) -> None:
            seconds[place] = time.perf_counter() - began
            if isinstance(outcome, Exception):
                failed.append(outcome)
            done()
            free.release()

        return take

    for place, request in enumerate(requests):
        free.acquire()
        engine.submit(request, taking(place))
    for _ in range(in_flight):
        free.acquire()
    if failed:
        raise failed[0]
    return seconds


def counts(engine: Engine) -> Counter[str]:
    """What the engine has computed so far."""
    status = engine.status()
    return Counter({name: getattr(status, name) for name in COUNTED})
