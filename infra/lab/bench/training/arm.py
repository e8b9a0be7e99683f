"""One arm of the training benchmark in a process of its own: `… -m infra.lab.bench.training_arm`.

Progress goes to standard output, one JSON object a line; the row's figures go to the file RESULT.
A step's seconds run from the end of the step before to its own, so that whatever a trainer does
between two steps is in them. Loading and the first step come first and are not measured.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from infra.lab.bench.results import Scalar
from infra.lab.bench.serving.arm import peak_memory_mb, say
from infra.lab.bench.serving.work import NotRun

WAYS = {
    "listune": "infra.lab.bench.listune_training:train",
    "trl": "infra.lab.bench.trl_training:train",
}
"""Way to the module and function that carry it out, imported in that arm's process only."""


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
    options: dict[str, Scalar] = field(default_factory=dict)
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


Train = Callable[[TrainingJob, Steps], dict[str, Scalar]]
"""Train until `Steps.step` says that it is enough; returns what the way chose by itself."""


def main(job_path: str, result_path: str) -> None:
    """Measure the job in the file `job_path` and write what came out to `result_path`."""
    job = TrainingJob(**json.loads(Path(job_path).read_text()))
    try:
        outcome = run(job)
    except NotRun as reason:
        outcome = {"not_run": str(reason)}
    Path(result_path).write_text(json.dumps(outcome))


def run(job: TrainingJob) -> dict[str, Any]:
    """Seconds, losses, settings and memory of the job's row.

    Raises:
        NotRun: the way cannot run on this machine.
    """
    module, _, name = WAYS[job.way].partition(":")
    steps = Steps(job)
    started = time.perf_counter()
    train: Train = getattr(import_module(module), name)
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


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
