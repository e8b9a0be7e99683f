"""From what was measured of pushes to rows and goals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from infra.lab.bench.goals import first
from infra.lab.bench.results import ArmResult, Figures, Goal, Options
from infra.lab.bench.serving.pushes import PHASES, PUSHES

SHARES = (50, 95)


def push_rows(
    name: str, told: Options, max_adapters: int, outcome: dict[str, Any]
) -> list[ArmResult]:
    """A row for each phase, as `infra.lab.bench.serving.pushes` measured them."""
    if reason := outcome.get("not_run"):
        return [ArmResult(name, told, not_run=reason)]
    rows = []
    for phase in PHASES:
        seconds = seconds_of(outcome, [phase])
        figures: Figures = {
            "listings": len(seconds),
            **percentiles(seconds),
            "listings_per_s": len(seconds) / outcome["phase_s"][phase],
        }
        raw = {"listing_s": seconds}
        if phase == PUSHES:
            figures |= pushes_figures(max_adapters, outcome)
            raw |= {"push_s": outcome["push_s"], "memory_mb": outcome["memory_mb"]}
        settings = {**told, **outcome["settings"], "phase": phase}
        rows.append(ArmResult(f"{name}: {phase}", settings, figures, raw))
    return rows


def pushes_figures(max_adapters: int, outcome: dict[str, Any]) -> Figures:
    """What the phase with pushes has and calm ones do not.

    Waits are in times of those of both calm phases. The first figure of memory is from before the
    first push; from `max_adapters` on, each push takes the place of an older one.
    """
    calm = percentiles(seconds_of(outcome, [phase for phase in PHASES if phase != PUSHES]))
    pushed = percentiles(seconds_of(outcome, [PUSHES]))
    memory = outcome["memory_mb"]
    pushes = outcome["push_s"]
    times = {
        f"p{share}_times": pushed[f"p{share}_s"] / calm[f"p{share}_s"] for share in SHARES
    } if calm and pushed else {}  # fmt: skip
    full = memory[max_adapters - 1 : -1]  # one adapter is there before the first push
    return {
        **times,
        "pushes": len(pushes),
        "every_s": outcome["phase_s"][PUSHES] / len(pushes),
        "push_p50_s": float(np.median(pushes)),
        "push_most_s": max(pushes),
        "asked": len(outcome["asked"]),
        "lost": sum(bool(one["failed"]) for one in outcome["asked"]),
        "by_another": sum(not one["by_named"] for one in outcome["asked"]),
        "deaths": outcome["deaths"],
        "memory_before_mb": memory[0],
        "memory_full_mb": full[0] if full else None,
        "memory_full_later_mb": float(np.median(full[len(full) // 2 :])) if full else None,
        "memory_after_mb": memory[-1],
    }


def seconds_of(outcome: dict[str, Any], phases: Sequence[str]) -> list[float]:
    """Of each listing that was answered."""
    return [o["seconds"] for o in outcome["asked"] if o["phase"] in phases and not o["failed"]]


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """None where nothing was answered."""
    return {f"p{p}_s": float(np.percentile(seconds, p)) for p in SHARES} if seconds else {}


def push_goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """No request is lost, and each is answered by the adapter that it named."""
    row = first(rows, arm="pushes", phase=PUSHES)
    reason = "the arm `pushes` did not run"
    wanted = {"requests lost while adapters are pushed": "lost"}
    wanted["answers by another adapter than the one named"] = "by_another"
    return [
        Goal(name, 0, row.figure(figure) if row else None, at_least=False, reason=reason)
        for name, figure in wanted.items()
    ]
