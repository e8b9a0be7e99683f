"""Evaluations side by side: one row an arm, each compared with a reference arm, pair by pair.

An arm is whatever answered: an adapter, the base, a baseline, somebody else's endpoint. All of them
answered the same listings. Pure functions from evaluations to rows, and from rows to text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.events import Interval
from serving.calibration import Calibration
from trainer.errors import TrainingError
from trainer.judging.evaluate import METRICS, Evaluation
from trainer.judging.intervals import draw_listings, paired_interval
from trainer.judging.reliability import calibration_error, judged_suggestions, reliability
from trainer.settings import Prices

if TYPE_CHECKING:
    from rich.table import Table

ENDPOINT = "endpoint:"
"""How the key of an evaluation begins whose answers an endpoint bills by the token."""

HEADINGS = (
    "arm",
    "listings",
    *(metric.replace("_", " ") for metric in METRICS),
    *(f"Δ {metric.replace('_', ' ')}" for metric in METRICS),
    "required filled",
    "abstained",
    "calibration error",
    "p50 ms",
    "p90 ms",
    "cost / 1,000",
)


@dataclass(frozen=True)
class ArmRow:
    """One arm: its metrics with two-sided 95 % intervals.

    `required` is completeness over the attributes that a listing needs, None where it needs none.
    `differences` is arm minus reference by metric, paired by listing; empty for the reference.
    `calibration_error` is None where the arm does not say how sure it is, `cost_per_thousand`
    (listings, in the currency of the price table) where the price table has no price for it.
    """

    arm: str
    listings: int
    shares: dict[str, Interval]  # by metric
    required: float | None
    abstention: float
    calibration_error: float | None
    p50_ms: float
    p90_ms: float
    cost_per_thousand: float | None
    differences: dict[str, Interval]


def table(
    evaluations: Mapping[str, Evaluation],
    reference: str,
    cost_of_wrong: float,
    prices: Prices | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> list[ArmRow]:
    """A row for each arm, in the order of `evaluations`.

    Args:
        evaluations: by the name of the arm; all of the same listings in the same order.
        reference: the arm that the others are compared with.
        cost_of_wrong: the net benefit's c (`trainer.judging.evaluate`).
        prices: what a machine and an endpoint cost; without it there is no cost.
        calibrations: those of the arms that have one. Their calibration error is that of the
            calibrated probability, the others' that of the plain confidence.

    Raises:
        TrainingError: an arm saw other listings than the reference.
    """
    base = evaluations[reference]
    drawn = draw_listings(len(base.listings), draws, seed)
    rows = []
    for arm, evaluation in evaluations.items():
        if not evaluation.same_listings(base):
            raise TrainingError(f"{arm} and {reference} saw other listings; evaluate both anew")
        metrics = evaluation.metrics(cost_of_wrong, draws, seed)
        suggestions = judged_suggestions(evaluation, (calibrations or {}).get(arm))
        rows.append(
            ArmRow(
                arm=arm,
                listings=metrics.listings,
                shares={metric: getattr(metrics, metric) for metric in METRICS},
                required=evaluation.ratio("required").value
                if any(score.required for score in evaluation.listings)
                else None,
                abstention=evaluation.ratio("abstention").value,
                calibration_error=calibration_error(reliability(suggestions)),
                p50_ms=metrics.p50_ms,
                p90_ms=metrics.p90_ms,
                cost_per_thousand=cost_per_thousand(evaluation, prices) if prices else None,
                differences={}
                if arm == reference
                else {
                    m: paired_interval(
                        base.measure(m, cost_of_wrong), evaluation.measure(m, cost_of_wrong), drawn
                    )
                    for m in METRICS
                },
            )
        )
    return rows


def cost_per_thousand(evaluation: Evaluation, prices: Prices) -> float | None:
    """What a thousand such listings cost; None without a price.

    An endpoint is paid by the token, our own machine by the hour for as long as the evaluation
    took, so `in_flight` and whoever else was at work on it count.
    """
    listings = len(evaluation.listings)
    if not evaluation.key.adapter_hash.startswith(ENDPOINT):
        if prices.machine_hour is None:
            return None
        return 1000 * evaluation.seconds / listings / 3600 * prices.machine_hour
    if prices.million_input_tokens is None or prices.million_output_tokens is None:
        return None
    written = sum(score.logits_computed for score in evaluation.listings)
    read = sum(score.tokens_computed for score in evaluation.listings) - written
    paid = read * prices.million_input_tokens + written * prices.million_output_tokens
    return 1000 * paid / 1e6 / listings


def markdown(rows: Sequence[ArmRow]) -> str:
    """The rows as a Markdown table; columns that no arm fills are left out."""
    headings, cells = _filled(rows)
    lines = [headings, ["---"] * len(headings), *cells]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join("| " + " | ".join(line) + " |\n" for line in escaped)


def rich_table(rows: Sequence[ArmRow], title: str | None = None) -> "Table":
    """The rows as a table for the terminal; columns that no arm fills are left out."""
    from rich.markup import escape
    from rich.table import Table

    headings, cells = _filled(rows)
    drawn = Table(*headings, title=title)
    for line in cells:
        drawn.add_row(*map(escape, line))
    return drawn


def _filled(rows: Sequence[ArmRow]) -> tuple[list[str], list[list[str]]]:
    lines = [_cells(row) for row in rows]
    kept = [i for i in range(len(HEADINGS)) if any(line[i] for line in lines)]
    return [HEADINGS[i] for i in kept], [[line[i] for i in kept] for line in lines]


def _cells(row: ArmRow) -> list[str]:
    return [
        row.arm,
        str(row.listings),
        *(_share(row.shares[metric]) for metric in METRICS),
        *(_share(row.differences.get(metric), "+") for metric in METRICS),
        _number(row.required, ".3f"),
        f"{row.abstention:.3f}",
        _number(row.calibration_error, ".3f"),
        _number(row.p50_ms, ",.0f"),
        _number(row.p90_ms, ",.0f"),
        _number(row.cost_per_thousand, ",.4g"),
    ]


def _share(share: Interval | None, sign: str = "") -> str:
    if share is None:
        return ""
    return f"{share.value:{sign}.3f} [{share.low:{sign}.3f}, {share.high:{sign}.3f}]"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"
