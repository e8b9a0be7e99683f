"""The serving benchmark: the same listings answered in several ways, one after the other.

What the arms are and how the arithmetic limit is found is told in docs/benchmarks.md.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from infra import progress
from infra.lab.bench.arms import DTYPES, FLIPKART_FOLDER, SERVING_ARMS, has_gpu
from infra.lab.bench.chart import draw_bars
from infra.lab.bench.flops import DecoderSizes
from infra.lab.bench.listings import FLIPKART, GENERATED, sets
from infra.lab.bench.matrix_rate import matrix_rates
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, BenchResult, Options, Scalar, begin
from infra.lab.bench.serving.figures import goals, with_limit
from infra.lab.bench.serving.measuring import STEP_TOKENS, VLLM_PYTHON, Measuring, fastest
from infra.lab.bench.serving.workload import prepare
from infra.local.fetch import ensure_base_model, ensure_encoder, ensure_part, triton_part
from infra.settings import Settings

PROMPTINGS = ("0", "schema", "4", "json")
LARGE_STEP_TOKENS = 2048
OPENVINO_CHOICES: dict[str, tuple[Scalar, ...]] = {
    "precision": ("bf16", "f32"),
    "cache": ("default", "bf16"),
    "step_tokens": (STEP_TOKENS, LARGE_STEP_TOKENS),
}
# Some more than 32 in flight, and one that warms up. Two cores should do the whole in
# an hour.
LISTINGS = 37
NAIVE_LISTINGS = 3


def run(
    settings: Settings,
    console: Console,
    arms: Sequence[str] = SERVING_ARMS,
    flipkart: Path = FLIPKART_FOLDER,
    quick: bool = False,
) -> Path:
    """Measure, print, and write the result file, its summary and its picture; the file's path.

    Args:
        flipkart: folder of the real catalog; left out where there is none.
        quick: two listings an arm, and the result is kept aside.

    Raises:
        PartError: the base model, the picture encoder or Triton cannot be fetched.
    """
    results = measured(settings, console, arms, flipkart, quick)
    return publish(results, bench_folder(quick), draw, console)


def draw(result: BenchResult, path: Path) -> Path:
    """The picture of a result."""
    return draw_bars(result, ("p50_s", "listings_per_s"), path)


def measured(
    settings: Settings, console: Console, arms: Sequence[str], flipkart: Path, quick: bool
) -> Iterator[BenchResult]:
    """The result so far, after each arm."""
    begun = begin("serving")
    base = ensure_base_model(settings.local.cache_dir, settings.local.base_model, console)
    with tempfile.TemporaryDirectory() as name, progress.bar(console) as shown:
        measuring = Measuring(base, Path(name), shown, quick)
        if "pictures" in arms:
            measuring.encoder = ensure_encoder(settings.local.cache_dir, console)
        if "pushes" in arms:
            measuring.triton = ensure_part(triton_part(), settings.local.cache_dir, console)
        for of_set, questions in sets(flipkart, 4 if quick else LISTINGS, console).items():
            measuring.add(of_set, prepare(questions, base))
        yield from measure(measuring, arms, begun)


def measure(measuring: Measuring, arms: Sequence[str], begun: BenchResult) -> Iterator[BenchResult]:
    """`begun` with the rows so far, the arithmetic limit and the goals, after each arm."""
    load = os.getloadavg()[0]
    rates = matrix_rates(measuring.base, measuring.shown)
    shape = DecoderSizes.read(measuring.base)
    constants: Options = {
        # Of others on the machine: above a few tenths, its figures are theirs too.
        "load_average_before": load,
        "base_model": measuring.base.name,
        "linear_weights": shape.linear_weights,
        **{f"{dtype}_matrix_gflop_per_s": rate for dtype, rate in rates.items()},
    }
    for name, workload in measuring.workloads.items():
        plans = workload.plans
        constants[f"{name}_trunk_tokens"] = sum(len(p.trunk) for p in plans) / len(plans)
        constants[f"{name}_attributes"] = sum(len(p.questions) for p in plans) / len(plans)
    task = measuring.shown.add_task("arms", total=len(arms))
    for arm in arms:
        measuring.shown.update(task, description=f"arms ({arm})")
        ARMS.get(arm, listune)(measuring, arm)
        measuring.shown.advance(task)
        rows = [
            with_limit(row, measuring.workloads[str(row.settings["set"])], shape, rates)
            for row in measuring.rows
        ]
        yield replace(
            begun,
            rows=rows,
            trials=list(measuring.trials),
            goals=goals(rows),
            constants=constants,
        )


def naive(measuring: Measuring, arm: str) -> None:
    """JSON by transformers' `generate`, in both number types."""
    made = [
        measuring.arm(arm, {"dtype": dtype}, listings=NAIVE_LISTINGS, in_flight=0)
        for dtype in DTYPES
    ]
    best = fastest(made)
    if best is None:
        return
    measuring.rows[measuring.rows.index(best)] = replace(best, note="its best number type")
    if FLIPKART in measuring.workloads:
        options: Options = {"dtype": best.settings["dtype"]}
        measuring.arm(arm, options, FLIPKART, listings=NAIVE_LISTINGS, in_flight=0)


def openvino(measuring: Measuring, arm: str) -> None:
    """OpenVINO GenAI, each way of prompting in its best set-up."""
    if has_gpu():
        reason = "OpenVINO has no device for an NVIDIA GPU, and its CPU is no comparison with one"
        measuring.rows.append(ArmResult(arm, {"arm": arm, "set": GENERATED}, not_run=reason))
        return
    best: dict[str, Options] = {}
    rows = []
    for prompting in PROMPTINGS:
        options: Options = {"prompting": prompting}
        # JSON, by far the slowest, takes the set-up that did best with a prompt an attribute.
        best[prompting] = (
            best["0"] | options
            if prompting == "json"
            else measuring.best(arm, options, OPENVINO_CHOICES)
        )
        rows.append(measuring.arm(arm, best[prompting]))
        if rows[-1].not_run:
            return
    if not measuring.quick:
        # What is best for one listing alone need not be for a crowd: the other size of a step.
        busiest = max(rows, key=lambda row: row.figure("listings_per_s") or 0.0)
        options = dict(best[str(busiest.settings["prompting"])])
        large = options["step_tokens"] == LARGE_STEP_TOKENS
        options["step_tokens"] = STEP_TOKENS if large else LARGE_STEP_TOKENS
        measuring.arm(arm, options)
    quickest = fastest(rows)
    if FLIPKART in measuring.workloads and quickest is not None:
        measuring.arm(arm, best[str(quickest.settings["prompting"])], FLIPKART)


def vllm(measuring: Measuring, arm: str) -> None:
    """vLLM, where it has an environment."""
    if not VLLM_PYTHON.is_file():
        reason = "there is no environment .venv-vllm; docs/benchmarks.md says how to make it"
        measuring.rows.append(ArmResult(arm, {"arm": arm, "set": GENERATED}, not_run=reason))
        return
    best: Options = measuring.best(arm, {"prompting": "0"}, {"dtype": DTYPES})
    for prompting in PROMPTINGS:
        if measuring.arm(arm, best | {"prompting": prompting}).not_run:
            return


def listune(measuring: Measuring, arm: str) -> None:
    """Our engine in the decoding mode `arm`, with B = |A|, 4 and 1.

    The fastest also by PyTorch where OpenVINO is taken, and free also in fp32.
    """
    made = []
    for batches in (0, 4, 1):
        options: Options = {"mode": arm, "batches": batches, "dtype": "auto"}
        made.append(measuring.arm(arm, options))
    if FLIPKART in measuring.workloads:
        options = {"mode": arm, "batches": 0, "dtype": "auto"}
        measuring.arm(arm, options, FLIPKART)
    best = fastest(made)
    if best is not None and best.settings.get("decoder") == "openvino":
        options = {"mode": arm, "batches": best.settings["batches"], "dtype": "auto"}
        measuring.arm(arm, options | {"decoder": "torch"})
    if arm == "free" and best is not None and best.settings["dtype"] != "float32":
        options = {"mode": arm, "batches": best.settings["batches"], "dtype": "float32"}
        measuring.arm(arm, options)


def pictures(measuring: Measuring, arm: str) -> None:
    """Our engine with a picture a listing, beside the same listings without."""
    for listing_set in measuring.workloads:
        measuring.seeing(arm, listing_set)


def adapters(measuring: Measuring, arm: str) -> None:
    """Our engine with one adapter and with two beside the base, by each decoder."""
    for decoder in ("openvino", "torch"):
        measuring.adapters(arm, decoder)


def pushes(measuring: Measuring, arm: str) -> None:
    """Our engine in Triton, with new adapters pushed every few seconds, and without."""
    measuring.pushes(arm)


def host(measuring: Measuring, arm: str) -> None:
    """Our engine with passes that cost nothing: what Python does for a listing."""
    measuring.host(arm)


ARMS = {
    "naive": naive,
    "openvino": openvino,
    "vllm": vllm,
    "pictures": pictures,
    "adapters": adapters,
    "pushes": pushes,
    "host": host,
}
"""How each is measured; the others are modes of our engine."""
