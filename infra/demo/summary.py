"""From what the demo saw to the report: the rows, the losses, and samples of what changed."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.catalogs.catalog import Product
from infra.demo.report import print_report, write_report
from infra.demo.rows import (
    MEASURED,
    ChangedValue,
    InputsRow,
    LossPoint,
    PoolPoint,
    RoundRow,
    RunInfo,
    RunReport,
    best_candidate,
)
from infra.demo.watch import WatchedRound
from infra.machine import describe
from infra.settings import Settings
from schemas.category import Attribute, CategorySchemas
from schemas.events import BASE_ADAPTER, RoundMetrics, ValueLists
from schemas.values import format_answer, matches
from trainer.judging.evaluate import Evaluation
from trainer.results import ONE_EXAMPLE, Contender, round_folder

SAMPLE_LISTINGS = 3


@dataclass
class Served:
    """What one adapter did for the sellers: the live predictions, and what they kept of them."""

    latencies_ms: list[float] = field(default_factory=list)
    shown: int = 0
    accepted: int = 0

    @property
    def acceptance(self) -> float | None:
        """Values accepted unchanged over values suggested; None where none was suggested."""
        return self.accepted / self.shown if self.shown else None


@dataclass(frozen=True)
class Played:
    """What the demo saw."""

    rounds: Mapping[int, WatchedRound]  # by number, in order
    champion: str  # the adapter that serves in the end
    served: Mapping[str, Served]  # by adapter
    judged: Sequence[Contender]  # side by side
    arrived: Sequence[Product]
    pool_history: Sequence[PoolPoint]


def build(
    settings: Settings,
    schemas: CategorySchemas,
    played: Played,
    timings: Mapping[str, float],
    started: float,
    commit: str,
) -> RunReport:
    """The whole run as one report.

    Args:
        started: wall-clock time of the run's begin, in seconds.
        commit: what stood in the checkout then; by now it may be another.
    """
    judged = {entry.name: entry for entry in played.judged}
    base, served = judged[BASE_ADAPTER], played.served
    rounds = [_round_row(made, judged, served) for made in played.rounds.values()]
    report = RunReport(
        run=_run_info(settings, schemas, base.metrics.listings, started, commit),
        rounds=[_baseline_row(base, served.get(BASE_ADAPTER)), *rounds],
        baselines=[_baseline_row(judged[name]) for name in (ONE_EXAMPLE,) if name in judged],
        by_inputs=[row for one in played.judged for row in by_inputs(one)],
        serves=played.champion,
        losses={
            number: losses
            for number, made in played.rounds.items()
            if (losses := _losses(settings.trainer.work_dir, made))
        },
        pool_history=list(played.pool_history),
        timings=dict(timings),
    )
    best = best_candidate(report)
    if best is not None:
        report.samples = changed_samples(played.arrived, schemas, base, judged[best.adapter])
    return report


def write(report: RunReport, run_dir: Path, console: Console) -> None:
    """Write the report's files, print the tables, and say where to look."""
    files = write_report(report, run_dir)
    console.print()
    print_report(report, console)
    console.print(f"Report: [bold]{files[-1]}[/]", highlight=False)


def by_inputs(judged: Contender) -> list[InputsRow]:
    """What an adapter is worth on the listings of each kind of input, if there are several."""
    return [
        InputsRow(
            inputs=inputs,
            adapter=judged.name,
            listings=metrics.listings,
            **_figures(metrics, ("net_benefit", "completeness")),
        )
        for inputs, metrics in (judged.metrics.by_inputs or {}).items()
    ]


def changed_samples(
    products: Sequence[Product], schemas: CategorySchemas, base: Contender, new: Contender
) -> list[ChangedValue]:
    """Attributes of a few held-out `products` that `base` and `new` answered differently."""
    before, after = _answers(base), _answers(new)
    held_out = [product for product in products if product.product_id in before]
    found: list[ChangedValue] = []
    for product in held_out[:SAMPLE_LISTINGS]:
        for attribute in product.attributes(schemas):
            identity = product.product_id
            found += _change(product, attribute, before[identity], after[identity])
    return found


def _answers(judged: Contender) -> dict[str, ValueLists]:
    """Listing to the values that were suggested for it."""
    evaluation = Evaluation.model_validate_json(judged.evaluation.read_bytes())
    return {score.listing_id: score.values for score in evaluation.listings}


def _change(
    product: Product, attribute: Attribute, base: ValueLists, new: ValueLists
) -> list[ChangedValue]:
    before, after = base.get(attribute.name, []), new.get(attribute.name, [])
    truth = product.truth.get(attribute.name, [])
    if before == after or not truth:
        return []
    return [
        ChangedValue(
            listing=product.title or product.product_id,
            attribute=attribute.name,
            base=format_answer(before),
            new=format_answer(after),
            truth=format_answer(truth),
            right=matches(attribute, after, truth),
        )
    ]


def _baseline_row(judged: Contender, served: Served | None = None) -> RoundRow:
    """The base, bare or with an example; only the bare one answered sellers."""
    return RoundRow(
        round=0, adapter=judged.name, decision="baseline", **_measured(judged), **_live(served)
    )


def _round_row(
    made: WatchedRound, judged: Mapping[str, Contender], served: Mapping[str, Served]
) -> RoundRow:
    verdict, outcome = made.verdict, made.outcome
    last = verdict or outcome
    adapter = (last.adapter_id if last else None) or "none"
    forgotten = verdict.details.get("forgetting") if verdict else None
    gate = {} if verdict is None else {"look": verdict.look}
    if verdict is not None and verdict.metrics is not None:
        gate["gate_listings"] = verdict.metrics.listings
    return RoundRow(
        round=made.request.round,
        adapter=adapter,
        parent=made.request.parent_id,
        decision=str(outcome.kind) if outcome else "unfinished",
        reason=(outcome.reason if outcome else None) or (verdict.reason if verdict else None),
        **gate,
        forgetting=str(forgotten) if forgotten else None,
        pool_size=made.request.pool_size,
        train_seconds=verdict.train_seconds if verdict else None,
        **_measured(judged.get(adapter)),
        **_live(served.get(adapter)),
    )


def _measured(judged: Contender | None) -> dict[str, Any]:
    """The columns that the side-by-side judging fills."""
    if judged is None:
        return {}
    columns: dict[str, Any] = {"eval_seconds": judged.seconds}
    columns |= _figures(judged.metrics, MEASURED)
    if judged.difference is not None:
        bounds = (judged.difference.lower, judged.difference.upper)
        columns |= {"over_base": judged.difference.value, "over_base_bounds": bounds}
    return columns


def _figures(metrics: RoundMetrics, names: Sequence[str]) -> dict[str, Any]:
    """Those of `names` that were measured, each with its interval."""
    figures: dict[str, Any] = {}
    for name in names:
        measured = getattr(metrics, name)
        if measured is not None:
            figures |= {name: measured.value, f"{name}_interval": (measured.low, measured.high)}
    return figures


def _live(served: Served | None) -> dict[str, Any]:
    if served is None or len(served.latencies_ms) < 2:
        return {}
    deciles = statistics.quantiles(served.latencies_ms, n=10, method="inclusive")
    return {"acceptance": served.acceptance, "p50_ms": deciles[4], "p90_ms": deciles[8]}


def _losses(folder: Path, made: WatchedRound) -> list[LossPoint]:
    path = round_folder(folder, made.request) / "losses.jsonl"
    if not path.exists():
        return []
    steps = (json.loads(line) for line in path.read_text().splitlines())
    return [LossPoint(step=step["step"], loss=step["loss"]) for step in steps]


def _run_info(
    settings: Settings, schemas: CategorySchemas, heldout: int, started: float, commit: str
) -> RunInfo:
    demo = settings.demo
    return RunInfo(
        started=time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(started)),
        machine=describe(),
        commit=commit,
        seed=demo.seed,
        catalog="/".join(demo.catalog.parts[-2:]) if demo.catalog else "generated",
        generated=demo.catalog is None,
        categories=len(schemas),
        heldout=heldout,
        seconds=time.time() - started,
        settings={
            "streams": settings.streams.model_dump(
                mode="json",
                include={
                    "selection",
                    "k",
                    "min_gap",
                    "backfill_factor",
                    "heldout_share",
                    "heldout_least",
                    "heldout_most",
                },
            ),
            "trainer": settings.trainer.model_dump(
                mode="json",
                include={
                    "strategy",
                    "rank",
                    "alpha",
                    "learning_rate",
                    "steps",
                    "batch_size",
                    "margin",
                    "decide_by",
                    "cost_of_wrong",
                    "least_gain",
                    "calibration_share",
                },
            ),
            "serving": settings.serving.model_dump(
                mode="json", include={"mode", "batches", "dtype", "pictures"}
            ),
            "demo": demo.model_dump(mode="json", include={"wave", "final_wave", "sellers", "mix"}),
        },
    )
