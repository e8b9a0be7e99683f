"""From what the demo saw to the report: the rows, the losses, and samples of what changed."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.demo.catalog import Product
from infra.demo.report import (
    ChangedValue,
    LossPoint,
    PoolPoint,
    RoundRow,
    RunInfo,
    RunReport,
    console_table,
    write_report,
)
from infra.demo.served import Served
from infra.demo.watch import Round
from infra.machine import describe
from infra.settings import Settings
from schemas.category import CategorySchemas
from schemas.events import BASE_ADAPTER, RoundMetrics, ValueLists
from schemas.values import format_answer, matches
from serving.client import TritonClient
from serving.listing import Listing

SAMPLE_LISTINGS = 3
ONE_SHOT = "base, one-shot"


def build(
    settings: Settings,
    schemas: CategorySchemas,
    rounds: Mapping[int, Round],
    served: Mapping[str, Served],
    samples: Sequence[ChangedValue],
    pool_history: Sequence[PoolPoint],
    timings: Mapping[str, float],
    started: float,
    commit: str,
) -> RunReport:
    """The whole run as one report.

    Args:
        started: wall-clock time of the run's begin, in seconds.
        commit: what stood in the checkout then; by now it may be another.
    """
    rounds_folder = settings.trainer.work_dir
    baselines = json.loads((rounds_folder / "baselines" / "baselines.json").read_text())
    rows = [_baseline_row(entry, served.get(BASE_ADAPTER)) for entry in baselines]
    return RunReport(
        run=_run_info(settings, schemas, started, commit),
        rounds=[rows[0], *(_round_row(n, made, served) for n, made in sorted(rounds.items()))],
        baselines=rows[1:],
        losses={
            number: losses
            for number, made in sorted(rounds.items())
            if (losses := _losses(rounds_folder, made))
        },
        pool_history=list(pool_history),
        samples=list(samples),
        timings=dict(timings),
    )


def write(report: RunReport, run_dir: Path, console: Console) -> None:
    """Write the report's files, print the table, and say where to look."""
    files = write_report(report, run_dir)
    console.print()
    console.print(console_table(report))
    console.print(f"Report: [bold]{files[-1]}[/]", highlight=False)


def changed_samples(
    settings: Settings,
    schemas: CategorySchemas,
    products: Sequence[Product],
    champion_hash: str,
) -> list[ChangedValue]:
    """Held-out attributes that the base and the champion answer differently, from live Triton."""
    if champion_hash == BASE_ADAPTER:
        return []
    client = TritonClient(settings.serving)
    found: list[ChangedValue] = []
    try:
        for product in products[:SAMPLE_LISTINGS]:
            attributes = product.attributes(schemas)
            listing = Listing(
                product.product_id, product.category, product.title, product.description
            )
            base = client.generate(listing, attributes).values
            new = client.generate(listing, attributes, adapter_hash=champion_hash).values
            for attribute in attributes:
                found += _change(product, attribute, base, new)
    finally:
        client.close()
    return found


def _change(
    product: Product, attribute: Any, base: ValueLists, new: ValueLists
) -> list[ChangedValue]:
    before, after = base.get(attribute.name, []), new.get(attribute.name, [])
    truth = product.truth.get(attribute.name, [])
    if before == after or not truth:
        return []
    return [
        ChangedValue(
            listing=product.title,
            attribute=attribute.name,
            base=format_answer(before),
            new=format_answer(after),
            truth=format_answer(truth),
            right=matches(attribute, after, truth),
        )
    ]


def _baseline_row(entry: Mapping[str, Any], served: Served | None) -> RoundRow:
    """The base, bare or with an example; only the bare one answered sellers."""
    one_shot = entry["one_shot"]
    return RoundRow(
        round=0,
        adapter=ONE_SHOT if one_shot else BASE_ADAPTER,
        decision="baseline",
        eval_seconds=entry["seconds"],
        **_shares(RoundMetrics.model_validate(entry["metrics"])),
        **_live(None if one_shot else served),
    )


def _round_row(number: int, made: Round, served: Mapping[str, Served]) -> RoundRow:
    verdict, end = made.verdict, made.end
    last = verdict or end
    adapter = last.adapter_id if last else None
    forgotten = verdict.details.get("forgetting") if verdict else None
    return RoundRow(
        round=number,
        adapter=adapter or "none",
        parent=made.request.parent_id,
        decision=str(end.kind) if end else "unfinished",
        reason=(end.reason if end and end.reason else None)
        or (verdict.reason if verdict else None),
        forgetting=str(forgotten) if forgotten else None,
        pool_size=made.request.pool_size,
        train_seconds=verdict.train_seconds if verdict else None,
        eval_seconds=verdict.eval_seconds if verdict else None,
        **_shares(verdict.metrics if verdict else None),
        **_live(served.get(adapter or "")),
    )


def _shares(metrics: RoundMetrics | None) -> dict[str, Any]:
    shares: dict[str, Any] = {}
    if metrics is not None:
        for name in ("completeness", "recall", "precision"):
            measured = getattr(metrics, name)
            shares[name] = measured.value
            shares[f"{name}_interval"] = (measured.low, measured.high)
    return shares


def _live(served: Served | None) -> dict[str, Any]:
    if served is None or len(served.latencies_ms) < 2:
        return {}
    deciles = statistics.quantiles(served.latencies_ms, n=10, method="inclusive")
    return {"acceptance": served.acceptance, "p50_ms": deciles[4], "p90_ms": deciles[8]}


def _losses(folder: Path, made: Round) -> list[LossPoint]:
    request = made.request
    path = folder / f"{request.pool}-r{request.round}-a{request.attempt}" / "losses.jsonl"
    if not path.exists():
        return []
    steps = (json.loads(line) for line in path.read_text().splitlines())
    return [LossPoint(step=step["step"], loss=step["loss"]) for step in steps]


def _run_info(settings: Settings, schemas: CategorySchemas, started: float, commit: str) -> RunInfo:
    demo = settings.demo
    return RunInfo(
        started=time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(started)),
        machine=describe(),
        commit=commit,
        seed=demo.seed,
        catalog="/".join(demo.catalog.parts[-2:]) if demo.catalog else "generated",
        generated=demo.catalog is None,
        categories=len(schemas),
        heldout=demo.heldout,
        seconds=time.time() - started,
        settings={
            "streams": settings.streams.model_dump(
                mode="json", include={"selection", "k", "v", "min_gap", "backfill_factor"}
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
                },
            ),
            "serving": settings.serving.model_dump(
                mode="json", include={"mode", "batches", "dtype"}
            ),
            "demo": demo.model_dump(mode="json", include={"wave", "final_wave", "sellers"}),
        },
    )
