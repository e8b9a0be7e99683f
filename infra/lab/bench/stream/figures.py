"""From what the stream benchmark measured to its rows, and the goals."""

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from infra.lab.bench.goals import first, ratio
from infra.lab.bench.results import ArmResult, Figures, Goal, Options
from infra.lab.bench.stream.curate import Look

REVIEWS, BOTH = "reviews", "requests and predictions"
"""What an arm read: reviews only, with the others in the pool before; or those others."""
STEADY, FULL = "steady", "full pool"
PASSED = "passed on"
"""By the predict worker, from requests to predictions."""

Commit = tuple[float, float, int]
"""Seconds, CPU seconds and records so far, after a commit."""


def commits_of(seen: Sequence[Look], before: int) -> list[Commit]:
    """The worker's commits by what was seen of them; `before`: records that were done at start."""
    moved = [look for look in seen if look.records > before]
    return [(look.at_s, look.cpu_s, look.records - before) for look in moved]


def throughput(
    name: str,
    settings: Options,
    commits: Sequence[Commit],
    more: Figures,
) -> ArmResult:
    """The row of an arm that read a backlog: from its first commit to its last."""
    if len(commits) < 2:
        return ArmResult(name, settings, not_run="it committed everything at once; send it more")
    (began_s, cpu_began_s, done_before), (ended_s, cpu_ended_s, done) = commits[0], commits[-1]
    records = done - done_before
    figures: Figures = {
        "events": done,
        "events_per_s": records / (ended_s - began_s),
        "cpu_ms_per_event": (cpu_ended_s - cpu_began_s) / records * 1e3,
        **more,
    }
    raw = {
        "commit_s": [at_s - began_s for at_s, _, _ in commits],
        "committed": [float(count) for _, _, count in commits],
    }
    return ArmResult(name, settings, figures, raw)


def steady(
    settings: Options,
    into_pool_s: Sequence[float],
    to_retrain_s: Sequence[float],
    cpu_share: float,
) -> ArmResult:
    """The row of reviews at a steady rate."""
    figures: Figures = {
        "reviews": len(into_pool_s),
        "into_pool_p50_s": _percentile(into_pool_s, 50),
        "into_pool_p99_s": _percentile(into_pool_s, 99),
        "rounds": len(to_retrain_s),
        "to_retrain_p50_s": _percentile(to_retrain_s, 50),
        "to_retrain_p99_s": _percentile(to_retrain_s, 99),
        "cpu_share": cpu_share,
    }
    # Of each review it would be half a megabyte in the repository.
    hundredths = [_percentile(into_pool_s, share) or 0.0 for share in range(101)]
    raw = {"into_pool_percentiles_s": hundredths, "to_retrain_s": list(to_retrain_s)}
    return ArmResult(
        "listune curate: steady", {"arm": "listune", "set": STEADY, **settings}, figures, raw
    )


def full_pool(settings: Options, outcome: dict[str, Any]) -> ArmResult:
    """The row of a pool with many listings, from what its process measured."""
    told: Options = {"arm": "listune", "set": FULL, **settings}
    name = "listune pool: full"
    if reason := outcome.get("not_run"):
        return ArmResult(name, told, not_run=reason)
    seconds: dict[str, list[float]] = outcome["seconds"]
    figures: Figures = {"rows": outcome["rows"]}
    figures |= {f"{what}_p50_s": median(taken) for what, taken in seconds.items()}
    figures |= {
        name: outcome[name] for name in ("resident_mb", "peak_memory_mb", "file_mb", "open_s")
    }
    raw = {f"{what}_s": taken for what, taken in seconds.items()}
    return ArmResult(name, told, figures, raw)


def goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """The goals of the stream benchmark."""
    ours, faust = (first(rows, arm=arm, set=REVIEWS) for arm in ("listune", "faust"))
    return [
        ratio(
            "validated reviews a second, times the bare Faust loop's",
            0.8, ours, faust, "events_per_s",
        ),
        _goal(rows, REVIEWS, "validated reviews a second", 10_000, "events_per_s"),
        _goal(rows, STEADY, "k-th review to retrain event, p99 s", 1, "to_retrain_p99_s", False),
        _goal(rows, PASSED, "requests a second that predict passes on", 2_000, "events_per_s"),
        _goal(rows, FULL, "top k of a full pool, s", 0.1, "top_k_p50_s", False),
    ]  # fmt: skip


def _goal(
    rows: Sequence[ArmResult],
    what: str,
    name: str,
    wanted: float,
    figure: str,
    at_least: bool = True,
) -> Goal:
    """The goal on a figure of our own arm."""
    told = (r for r in rows if (r.settings.get("arm"), r.settings.get("set")) == ("listune", what))
    row = next(told, None)
    reason = (row.not_run if row else "") or "it was not measured"
    return Goal(name, wanted, row.figure(figure) if row else None, at_least, reason)


def _percentile(values: Sequence[float], share: float) -> float | None:
    return float(np.percentile(values, share)) if values else None
