"""A training step of ours beside TRL's, on the same listings: tokens a second, memory, first loss.

Each in a process of its own, so that its peak of memory is its own.
"""

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from statistics import median

import torch

from infra.lab.bench.results import ArmResult, Figures, Options
from infra.lab.bench.training import listune_way
from infra.lab.bench.training.arm import Steps, TrainingJob
from infra.lab.gpu_check.place import BATCHES, EXAMPLES, REFERENCE, ROWS, Place
from infra.lab.gpu_check.reference import Reference

OURS, TRL, PLAIN = "listune", "trl", "plain"
Train = Callable[[TrainingJob, Steps], Options]


def ours(place: Place) -> Iterator[ArmResult]:
    """Our trainer: the packed trees of a step in one row."""
    yield _measured(place, OURS, listune_way.train, {"micro_batch_size": 1})


def beside(place: Place) -> Iterator[ArmResult]:
    """TRL's, or where it is not to be had transformers and peft with padding."""
    if all(find_spec(name) for name in ("trl", "datasets")):
        from infra.lab.bench.training import trl_way

        for size in place.sizes.trl_sizes:
            yield _measured(
                place, TRL, trl_way.train, {"layout": trl_way.PADDING_FREE, "size": size}
            )
        return
    from infra.lab.gpu_check import plain_way

    for size in place.sizes.trl_sizes:
        row = _measured(place, PLAIN, plain_way.train, {"size": size})
        yield ArmResult(**vars(row) | {"note": "TRL is not installed: plain transformers and peft"})


def _measured(place: Place, arm: str, train: Train, options: Options) -> ArmResult:
    sizes, amounts = place.sizes, Reference.read(place.part(REFERENCE)).amounts
    listings = int(amounts["listings"])
    job = TrainingJob(
        way=arm,
        base=place.base,
        file=str(place.part(ROWS if arm == OURS else EXAMPLES)),
        batches=BATCHES,
        listings=listings,
        dtype="bfloat16",
        rank=sizes.rank,
        alpha=sizes.rank,
        learning_rate=3e-4,
        options=options,
        steps=sizes.train_steps,
        budget_s=sizes.train_budget_s,
    )
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    steps = Steps(job)
    started = time.perf_counter()
    chosen = train(job, steps)
    step_s = median(steps.seconds)
    tokens = amounts["tree_tokens" if arm == OURS else "example_tokens"]
    figures: Figures = {
        "steps": len(steps.seconds),
        "step_p50_s": step_s,
        "products_per_s": listings / step_s,
        "tokens_per_step": tokens,
        "tokens_per_s": tokens / step_s,
        "label_tokens_per_s": amounts["label_tokens"] / step_s,
        "first_loss_nats": steps.losses[0],
        "warm_up_s": time.perf_counter() - started - sum(steps.seconds),
        "gpu_memory_mb": torch.cuda.max_memory_allocated() / 1e6
        if torch.cuda.is_available()
        else None,
    }
    settings: Options = {"stage": "training", "arm": arm, "rank": sizes.rank, "dtype": "bfloat16"}
    name = " ".join([arm, *(f"{key} {value}" for key, value in options.items())])
    return ArmResult(name, settings | options | chosen, figures, {"step_s": steps.seconds})
