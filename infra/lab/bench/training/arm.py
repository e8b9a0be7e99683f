"""One arm's measurement, in a process of its own.

A step's seconds run from the end of the step before to its own, so that whatever a trainer does
between two steps is in them. Loading and the first step come first and are not measured.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from infra.lab.bench.job import peak_memory_mb, say
from infra.lab.bench.results import Options

WAYS = {"listune": "listune_way", "trl": "trl_way"}
"""Way to the module whose `train` carries it out, imported in that arm's process only."""


@dataclass(frozen=True)
class TrainingJob:
    """One arm's measurement, as handed to its process.

    Attributes:
        way: key of `WAYS`; `options` are for it.
        base: folder of the base model.
        file: the rows for ours, the examples for TRL.
        batches: B.
        listings: a step's; the file holds just as many.
        dtype: float32 or bfloat16.
        rank, alpha: of LoRA, on all linear layers of the blocks.
        steps: measured at most; fewer where `budget_s` seconds have passed, but one at least.
    """

    way: str
    base: str
    file: str
    batches: int
    listings: int
    dtype: str
    rank: int
    alpha: int
    learning_rate: float
    options: Options = field(default_factory=dict)
    steps: int = 8
    budget_s: float = 60.0


@dataclass
class Steps:
    """Is told after each step; `seconds` leave the first one out, `losses` (nats a token) do not.

    `step` says whether enough is measured.
    """

    job: TrainingJob
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _ended: float = 0.0

    def step(self, loss: float) -> bool:
        """Note that a step has ended, with its loss; whether it was the last one wanted."""
        _finish()
        now = time.perf_counter()
        if self.losses:
            self.seconds.append(now - self._ended)
        self.losses.append(loss)
        self._ended = now
        say(len(self.seconds), self.job.steps, "steps")
        return len(self.seconds) >= self.job.steps or (
            bool(self.seconds) and sum(self.seconds) >= self.job.budget_s
        )


Train = Callable[[TrainingJob, Steps], Options]
"""Train until `Steps.step` says that it is enough; returns what the way chose by itself."""


def carry_out(job: TrainingJob) -> dict[str, Any]:
    """Seconds, losses, settings and memory of the job's row.

    Raises:
        NotRun: the way cannot run on this machine.
    """
    steps = Steps(job)
    started = time.perf_counter()
    train: Train = import_module(f"{__package__}.{WAYS[job.way]}").train
    settings = train(job, steps)
    warm_up_s = time.perf_counter() - started - sum(steps.seconds)
    return {
        "seconds": steps.seconds,
        "losses": steps.losses,
        "settings": settings,
        "warm_up_s": warm_up_s,
        "peak_memory_mb": peak_memory_mb(),
        "peak_gpu_memory_mb": _peak_gpu_memory_mb(),
    }


def _finish() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _peak_gpu_memory_mb() -> float | None:
    import torch

    return torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else None
