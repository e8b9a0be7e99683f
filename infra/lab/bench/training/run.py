"""The training benchmark: the same listings fine-tuned on by our trainer and by TRL's SFTTrainer.

What the arms are and what is compared is told in docs/benchmarks.md.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from infra import progress
from infra.lab.bench import chart, listings
from infra.lab.bench.flops import Shape
from infra.lab.bench.results import RESULTS, BenchResult, Row, Scalar, begin, tables, write
from infra.lab.bench.runner import REPOSITORY, run_job, run_module
from infra.lab.bench.serving.measuring import FLIPKART, GENERATED, Options
from infra.lab.bench.serving.run import DTYPES, check_arms, has_gpu
from infra.lab.bench.training import lessons
from infra.lab.bench.training.arm import TrainingJob
from infra.lab.bench.training.figures import goals, quickest, row_of
from infra.lab.bench.training.lessons import BATCHES, Lesson
from infra.local.fetch import ensure_base_model
from infra.settings import RUNS, Settings
from schemas.errors import ListuneError
from trainer.settings import TrainerSettings

ARMS = ("listune", "trl")
TRL_PYTHON = REPOSITORY / ".venv-trl" / "bin" / "python"


@dataclass(frozen=True)
class Sizes:
    """What fits the device: listings a step, and the set-ups tried of each arm, best guess first.

    TRL's examples are 200 to 400 tokens, so rows of 1,024 hold a few of them.
    """

    listings: int
    listune: tuple[Options, ...]
    trl: tuple[Options, ...]


CPU = Sizes(
    listings=4,
    listune=({"micro_batch_size": 1}, {"micro_batch_size": 4}),
    trl=(
        {"layout": "padded", "size": 4},
        {"layout": "padded", "size": 1},
        {"layout": "padded", "size": 16},
        {"layout": "padding-free", "size": 4},
        {"layout": "packed", "size": 1024},
        {"layout": "packed", "size": 2048},
    ),
)
GPU = Sizes(
    listings=32,
    listune=({"micro_batch_size": 8}, {"micro_batch_size": 32}),
    trl=(
        {"layout": "padded", "size": 32},
        {"layout": "padded", "size": 128},
        {"layout": "padding-free", "size": 32},
        {"layout": "packed", "size": 4096},
        {"layout": "packed", "size": 16384},
    ),
)


@dataclass(frozen=True)
class Chosen:
    """What of the benchmark is run; `quick` is for trying, its result is kept aside."""

    arms: tuple[str, ...] = ARMS
    flipkart: Path = listings.FLIPKART
    quick: bool = False


@dataclass
class Bench:
    """One run's measurements so far, and what they are made with."""

    base: Path
    shown: Progress
    sizes: Sizes
    rates: dict[str, float]
    quick: bool = False
    sets: dict[str, Lesson] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    trials: list[Row] = field(default_factory=list)

    def arm(
        self, arm: str, batches: int, dtype: str, options: Options, listing_set: str = GENERATED
    ) -> Row:
        """Measure an arm; its row is kept and returned, also where it could not run."""
        lesson = self.sets[listing_set]
        job = self._job(arm, batches, dtype, options)
        job = replace(job, file=str(lesson.examples[batches] if arm == "trl" else lesson.rows))
        if self.quick:
            job = replace(job, steps=1)
        row = self._measure(arm, job, listing_set)
        self.rows.append(row)
        return row

    def best(self, arm: str, batches: int) -> Options:
        """The quickest of the set-ups of `arm`, by a step each in the quicker number type."""
        choices = self.sizes.trl if arm == "trl" else self.sizes.listune
        if self.quick:
            return choices[0]
        dtype = max(DTYPES, key=lambda name: self.rates[name])
        lesson = self.sets[GENERATED]
        file = str(lesson.trials[batches] if arm == "trl" else lesson.rows)
        tried: list[tuple[float, Options]] = []
        for options in choices:
            job = replace(self._job(arm, batches, dtype, options), file=file, steps=2)
            row = self._measure(arm, job, GENERATED, trial=True)
            self.trials.append(row)
            tried.append((row.figure("step_p50_s") or float("inf"), options))
        return min(tried, key=lambda entry: entry[0])[1]

    def _job(self, arm: str, batches: int, dtype: str, options: Options) -> TrainingJob:
        settings = TrainerSettings()
        return TrainingJob(
            way=arm,
            base=str(self.base),
            file="",
            batches=batches,
            listings=self.sets[GENERATED].listings,
            dtype=dtype,
            rank=settings.rank,
            alpha=settings.alpha,
            learning_rate=settings.learning_rate,
            options=options,
        )

    def _measure(self, arm: str, job: TrainingJob, listing_set: str, trial: bool = False) -> Row:
        label = f"{arm} {'B=|A|' if job.batches == 0 else f'B={job.batches}'} {job.dtype}"
        task = self.shown.add_task(f"{label}: loading", total=None)

        def follow(done: int, of: int, what: str) -> None:
            said = f"{label}: {what}"
            self.shown.update(task, completed=done, total=of, description=said)

        try:
            outcome = run_job(job, follow, trl_python() if arm == "trl" else sys.executable)
        finally:
            self.shown.remove_task(task)
        told: dict[str, Scalar] = {"arm": arm, "set": listing_set, "batches": job.batches}
        told |= {"dtype": job.dtype, **job.options}
        amounts = self.sets[listing_set].amounts
        amount = None if trial else amounts["examples" if arm == "trl" else "tree", job.batches]
        name = label if listing_set == GENERATED else f"{label}, {listing_set}"
        return row_of(name, told, job, amount, Shape.read(self.base), self.rates, outcome)


def run(settings: Settings, chosen: Chosen, console: Console) -> Path:
    """Measure, print, and write the result file, its summary and its picture; the file's path.

    Raises:
        ListuneError: no arm, or an unknown one.
        PartError: the base model cannot be fetched.
    """
    check_arms(chosen.arms, ARMS)
    folder = RUNS / "bench" if chosen.quick else RESULTS / "bench"
    begun = begin("training")
    base = ensure_base_model(settings.local.cache_dir, settings.local.base_model, console)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, progress.bar(console) as shown:
        task = shown.add_task("this machine's matrix rate", total=None)
        rates = run_module("infra.lab.bench.matrix_rate", base)
        shown.remove_task(task)
        bench = Bench(base, shown, GPU if has_gpu() else CPU, rates, chosen.quick)
        for reason in take_listings(bench, chosen, Path(name)):
            console.print(f"Left out: {reason}", style="yellow")
        begun = replace(begun, constants=constants(bench, load))
        for result in measure(bench, chosen, begun):
            # After each row: whoever stops a long run keeps what was measured.
            path = write(result, folder)
            chart.draw(result, ("products_per_s", "peak_memory_mb"), path.with_suffix(".png"))
    for table in tables(result):
        console.print(table)
    console.print(f"Written to {path}", soft_wrap=True)
    return path


def take_listings(bench: Bench, chosen: Chosen, folder: Path) -> list[str]:
    """Give `bench` its listings; the reasons why a set is left out."""
    count = 1 if bench.quick else bench.sizes.listings
    made = listings.generated(count)
    bench.sets[GENERATED] = lessons.prepare(made, True, bench.base, folder / GENERATED)
    try:
        real = listings.flipkart(chosen.flipkart, count)
    except ListuneError as reason:
        return [str(reason)]
    bench.sets[FLIPKART] = lessons.prepare(real, False, bench.base, folder / FLIPKART)
    return []


def constants(bench: Bench, load: float) -> dict[str, Scalar]:
    """What belongs to no arm: the machine's rates, the model, the listings."""
    shape, settings = Shape.read(bench.base), TrainerSettings()
    told: dict[str, Scalar] = {
        # Of others on the machine: above a few tenths, its figures are theirs too.
        "load_average_before": load,
        "base_model": bench.base.name,
        "listings_per_step": bench.sets[GENERATED].listings,
        "lora_rank": settings.rank,
        "linear_weights": shape.linear_weights,
        "lora_weights": shape.lora_weights(settings.rank),
        **{f"{dtype}_matrix_gflop_per_s": rate for dtype, rate in bench.rates.items()},
    }
    for name, lesson in bench.sets.items():
        amount = lesson.amounts["tree", 0]
        told[f"{name}_label_tokens_per_product"] = amount.label_tokens / lesson.listings
    return told


def measure(bench: Bench, chosen: Chosen, begun: BenchResult) -> Iterator[BenchResult]:
    """`begun` with the rows so far and the goals, after each row.

    Each arm in its best set-up and both number types; real listings in the better one.
    """
    task = bench.shown.add_task("arms", total=len(BATCHES) * len(chosen.arms))
    for batches in BATCHES:
        for arm in chosen.arms:
            options = bench.best(arm, batches)
            for dtype in DTYPES:
                row = bench.arm(arm, batches, dtype, options)
                yield _result(bench, begun)
                if row.not_run:
                    break
            quicker = quickest(bench.rows, arm, batches)
            if FLIPKART in bench.sets and quicker is not None:
                bench.arm(arm, batches, str(quicker.settings["dtype"]), options, FLIPKART)
                yield _result(bench, begun)
            bench.shown.advance(task)


def trl_python() -> str:
    """The interpreter that has TRL: of `.venv-trl`, else this one, which may have it too."""
    here = find_spec("trl") is not None and find_spec("datasets") is not None
    return str(TRL_PYTHON) if TRL_PYTHON.is_file() and not here else sys.executable


def _result(bench: Bench, begun: BenchResult) -> BenchResult:
    rows = list(bench.rows)
    return replace(begun, rows=rows, trials=list(bench.trials), goals=goals(rows))
