"""From what a training arm's process measured to its row, and the goals."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from infra.lab.bench.flops import DecoderSizes, training_flops
from infra.lab.bench.goals import NOT_BOTH, best, ratio, rows_with
from infra.lab.bench.photographs import NONE, PICTURED
from infra.lab.bench.results import ArmResult, Figures, Goal, Options
from infra.lab.bench.training.arm import TrainingJob
from infra.lab.bench.training.lessons import Amount, Lesson

SAME_LOSS = 1e-3
"""Nats a token between the first losses of two arms that train on the same tokens in fp32."""


def row_of(
    name: str,
    settings: Options,
    job: TrainingJob,
    amount: Amount | None,
    shape: DecoderSizes,
    rates: dict[str, float],
    outcome: dict[str, Any],
) -> ArmResult:
    """The row of an arm whose process measured `outcome` of `job`.

    amount: what one step computes; None for a trial, which has its seconds only.
    rates: GFLOP/s by number type; `limit_share` is the share of the step in which nothing but the
        needed products would be computed, at that rate.
    """
    if reason := outcome.get("not_run"):
        return ArmResult(name, settings, not_run=reason)
    step_s = median(outcome["seconds"])
    figures: Figures = {
        "steps": len(outcome["seconds"]),
        "step_p50_s": step_s,
    }
    if amount is not None:
        flops = training_flops(shape, job.rank, amount.tokens, amount.label_tokens, amount.keys)
        figures |= {
            "products_per_s": job.listings / step_s,
            "tokens_per_product": amount.tokens / job.listings,
            "tokens_per_s": amount.tokens / step_s,
            "label_tokens_per_s": amount.label_tokens / step_s,
            "limit_share": flops / (rates[job.dtype] * 1e9) / step_s,
        }
    figures |= {
        "first_loss_nats": outcome["losses"][0],
        "peak_memory_mb": outcome["peak_memory_mb"],
        "peak_gpu_memory_mb": outcome["peak_gpu_memory_mb"],
        "warm_up_s": outcome["warm_up_s"],
    }
    raw = {"step_s": outcome["seconds"], "loss_nats": outcome["losses"]}
    return ArmResult(name, {**settings, **outcome["settings"]}, figures, raw)


def pictured_rows(
    told: Options,
    jobs: Mapping[str, TrainingJob],
    lesson: Lesson,
    base: Path,
    rates: dict[str, float],
    outcomes: Mapping[str, Sequence[dict[str, Any]]],
) -> list[ArmResult]:
    """A row for each kind of listing, with and without a picture, of the rounds of each.

    `times_text` is the median step in times of the same round's without a picture, the median of
    the rounds.
    """
    rows, shape = [], DecoderSizes.read(base)
    for kind, rounds in outcomes.items():
        name, settings = (
            f"pictures B=4 {told['dtype']}, {PICTURED[kind]}",
            {**told, "picture": kind},
        )
        amount = lesson.amounts["tree" if kind == NONE else "pictured", 4]
        row = row_of(name, settings, jobs[kind], amount, shape, rates, _together(rounds))
        if kind != NONE and not row.not_run and not _together(outcomes[NONE]).get("not_run"):
            times = [
                median(mine["seconds"]) / median(other["seconds"])
                for mine, other in zip(rounds, outcomes[NONE], strict=True)
            ]
            row = replace(row, figures=row.figures | {"times_text": median(times)})
        rows.append(row)
    return rows


def _together(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The rounds of a kind as one outcome; the first one's reason where one did not run."""
    failed = next((r for r in rounds if r.get("not_run")), None)
    if failed is not None:
        return failed
    most = {
        name: max((r[name] for r in rounds if r[name] is not None), default=None)
        for name in ("peak_memory_mb", "peak_gpu_memory_mb", "warm_up_s")
    }
    seconds = [second for r in rounds for second in r["seconds"]]
    return {**rounds[0], **most, "seconds": seconds}


def goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """The goals of the training benchmark, judged on the generated listings.

    Each arm counts in its best number type.
    """
    four, each = (quickest(rows, "listune", batches) for batches in (4, 0))
    return [
        ratio(
            "products a second, times TRL's best: B=4",
            3, four, quickest(rows, "trl", 4), "products_per_s",
        ),
        ratio("cost of B=|A| in costs of B=4", 1.2, four, each, "products_per_s", at_least=False),
        _same_loss(rows),
    ]  # fmt: skip


def quickest(rows: Sequence[ArmResult], arm: str, batches: int) -> ArmResult | None:
    """The row of `arm` on generated listings in its best number type; None where none ran."""
    return best(rows_with(rows, arm=arm, batches=batches), "products_per_s", max)


def _same_loss(rows: Sequence[ArmResult]) -> Goal:
    """That both train on the same: the widest difference between two first losses of equal B."""
    name = "first loss from TRL's, nats a label token: fp32"
    exact = [row for row in rows if not row.not_run and row.settings["dtype"] == "float32"]
    differences = []
    for row in exact:
        told = (row.settings["set"], row.settings["batches"])
        same = [r for r in exact if (r.settings["set"], r.settings["batches"]) == told]
        differences += [
            abs(row.figures["first_loss_nats"] - other.figures["first_loss_nats"])  # type: ignore[operator]
            for other in same
            if other.settings["arm"] != row.settings["arm"]
        ]
    if not differences:
        return Goal(name, SAME_LOSS, None, False, NOT_BOTH)
    return Goal(name, SAME_LOSS, max(differences), at_least=False)
