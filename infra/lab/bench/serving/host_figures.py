"""From what was measured of the host's own time to rows and goals."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from infra.lab.bench.goals import first
from infra.lab.bench.results import ArmResult, Goal, Options
from schemas.events import Mode

ALONE, CROWD = "cpu_ms_per_listing", "crowd_cpu_ms_per_listing"
MOST_MS = {ALONE: (10, "one listing"), CROWD: (3, "64 in flight")}
"""What a GPU that answers a listing in 25 ms, and 300 a second, leaves to the host."""


def host_rows(name: str, told: Options, outcome: dict[str, Any]) -> list[ArmResult]:
    """A row for each mode, as `infra.lab.bench.serving.host` measured them; medians of rounds."""
    if reason := outcome.get("not_run"):
        return [ArmResult(name, told, not_run=reason)]
    return [
        ArmResult(
            f"{name}, {mode}",
            {**told, **outcome["settings"], "mode": mode},
            {
                ALONE: median(rounds["alone"]),
                CROWD: median(rounds["crowd"]),
                "peak_memory_mb": outcome["peak_memory_mb"],
            },
            {"alone_cpu_ms": rounds["alone"], "crowd_cpu_ms": rounds["crowd"]},
        )
        for mode, rounds in outcome["modes"].items()
    ]


def host_goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """What the host may take."""
    made = []
    for mode in Mode:
        row = first(rows, arm="host", mode=mode.value)
        for figure, (most, of) in MOST_MS.items():
            name = f"CPU ms of the host for a listing, {of}: {mode.value}"
            measured = row.figure(figure) if row else None
            reason = "the arm `host` did not run"
            made.append(Goal(name, most, measured, at_least=False, reason=reason))
    return made
