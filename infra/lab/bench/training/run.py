"""The training benchmark: the same listings fine-tuned on by our trainer and by TRL's SFTTrainer.

What the arms are and what is compared is told in docs/benchmarks.md.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from infra import progress
from infra.lab.bench.arms import DTYPES, FLIPKART_FOLDER, TRAINING_ARMS, has_gpu
from infra.lab.bench.chart import draw_bars
from infra.lab.bench.flops import DecoderSizes
from infra.lab.bench.listings import FLIPKART, GENERATED, sets
from infra.lab.bench.matrix_rate import matrix_rates
from infra.lab.bench.photographs import PICTURED
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, BenchResult, Options, begin
from infra.lab.bench.runner import run_shown
from infra.lab.bench.training.arm import TrainingJob, carry_out
from infra.lab.bench.training.figures import goals, pictured_rows, quickest, row_of
from infra.lab.bench.training.lessons import BATCHES, Lesson, prepare
from infra.local.fetch import ensure_base_model, ensure_encoder
from infra.machine import REPOSITORY
from infra.settings import Settings
from trainer.settings import TrainerSettings

PICTURES = "pictures"
"""The arm that compares ours with itself."""

TRL_PYTHON = REPOSITORY / ".venv-trl" / "bin" / "python"


@dataclass(frozen=True)
class SetUps:
    """What fits the device: listings a step, and the set-ups tried of each arm, best guess first.

    TRL's examples are 200 to 400 tokens, so rows of 1,024 hold a few of them.
    """

    listings: int
    listune: tuple[Options, ...]
    trl: tuple[Options, ...]


CPU = SetUps(
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
GPU = SetUps(
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


@dataclass
class TrainingRun:
    """One run's measurements so far, and what they are made with."""

    base: Path
    shown: Progress
    set_ups: SetUps
    rates: dict[str, float]
    quick: bool = False
    encoder: Path | None = None
    sets: dict[str, Lesson] = field(default_factory=dict)
    rows: list[ArmResult] = field(default_factory=list)
    trials: list[ArmResult] = field(default_factory=list)

    def arm(
        self, arm: str, batches: int, dtype: str, options: Options, listing_set: str = GENERATED
    ) -> ArmResult:
        """Measure an arm; its row is kept and returned, also where it could not run."""
        row = self._measure(arm, batches, dtype, options, listing_set)
        self.rows.append(row)
        return row

    def best(self, arm: str, batches: int) -> Options:
        """The quickest of the set-ups of `arm`, by a step each in the quicker number type."""
        choices = self.set_ups.trl if arm == "trl" else self.set_ups.listune
        if self.quick:
            return choices[0]
        dtype = max(DTYPES, key=lambda name: self.rates[name])
        tried: list[tuple[float, Options]] = []
        for options in choices:
            row = self._measure(arm, batches, dtype, options, trial=True)
            self.trials.append(row)
            tried.append((row.figure("step_p50_s") or float("inf"), options))
        return min(tried, key=lambda entry: entry[0])[1]

    def _measure(
        self,
        arm: str,
        batches: int,
        dtype: str,
        options: Options,
        listing_set: str = GENERATED,
        trial: bool = False,
    ) -> ArmResult:
        lesson, settings, trl = self.sets[listing_set], TrainerSettings(), arm == "trl"
        examples = lesson.trials if trial else lesson.examples
        job = TrainingJob(
            way=arm,
            base=str(self.base),
            file=str(examples[batches] if trl else lesson.rows),
            batches=batches,
            listings=self.sets[GENERATED].listings,
            dtype=dtype,
            rank=settings.rank,
            alpha=settings.alpha,
            learning_rate=settings.learning_rate,
            options=options,
            steps=2 if trial else 1 if self.quick else TrainingJob.steps,
        )
        label = f"{arm} {f'B={batches}' if batches else 'B=|A|'} {dtype}"
        python = trl_python() if trl else sys.executable
        outcome = run_shown(self.shown, label, carry_out, job, python)
        told: Options = {"arm": arm, "set": listing_set, "batches": batches, "dtype": dtype}
        amount = None if trial else lesson.amounts["examples" if trl else "tree", batches]
        name = label if listing_set == GENERATED else f"{label}, {listing_set}"
        shape = DecoderSizes.read(self.base)
        return row_of(name, told | options, job, amount, shape, self.rates, outcome)

    def pictured(self, rounds: int, steps: int) -> None:
        """Measure ours with and without a picture a listing; the rows are kept.

        Each kind in processes of its own, whose memory is its own; they take turns, so that a
        machine that gets busier slows down all alike.
        """
        dtype = max(DTYPES, key=lambda name: self.rates[name])
        lesson, settings = self.sets[GENERATED], TrainerSettings()
        told: Options = {"arm": PICTURES, "set": GENERATED, "batches": 4, "dtype": dtype}
        jobs = {
            kind: TrainingJob(
                way="listune",
                base=str(self.base),
                file=str(lesson.rows),
                batches=4,
                listings=lesson.listings,
                dtype=dtype,
                rank=settings.rank,
                alpha=settings.alpha,
                learning_rate=settings.learning_rate,
                options={"micro_batch_size": 1, "picture": kind, "encoder": str(self.encoder)},
                steps=steps,
            )
            for kind in PICTURED
        }
        outcomes: dict[str, list[dict[str, Any]]] = {kind: [] for kind in PICTURED}
        for number in range(rounds):
            for kind in list(PICTURED)[:: -1 if number % 2 else 1]:
                label = f"B=4 {dtype} {PICTURED[kind]}"
                outcomes[kind].append(run_shown(self.shown, label, carry_out, jobs[kind]))
        self.rows += pictured_rows(told, jobs, lesson, self.base, self.rates, outcomes)


def run(
    settings: Settings,
    console: Console,
    arms: Sequence[str] = TRAINING_ARMS,
    flipkart: Path = FLIPKART_FOLDER,
    quick: bool = False,
) -> Path:
    """Measure, print, and write the result file, its summary and its picture; the file's path.

    Args:
        flipkart: folder of the real catalog; left out where there is none.
        quick: one listing and one step an arm, and the result is kept aside.

    Raises:
        PartError: the base model or the picture encoder cannot be fetched.
    """
    results = measured(settings, console, arms, flipkart, quick)
    return publish(results, bench_folder(quick), draw, console)


def draw(result: BenchResult, path: Path) -> Path:
    """The picture of a result."""
    return draw_bars(result, ("products_per_s", "peak_memory_mb"), path)


def measured(
    settings: Settings, console: Console, arms: Sequence[str], flipkart: Path, quick: bool
) -> Iterator[BenchResult]:
    """The result so far, after each row."""
    begun = begin("training")
    base = ensure_base_model(settings.local.cache_dir, settings.local.base_model, console)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, progress.bar(console) as shown:
        rates = matrix_rates(base, shown)
        bench = TrainingRun(base, shown, GPU if has_gpu() else CPU, rates, quick)
        picture_rows = 0
        if PICTURES in arms:
            bench.encoder = ensure_encoder(settings.local.cache_dir, console)
            picture_rows = json.loads((bench.encoder / "config.json").read_text())["rows"]
        count = 1 if quick else bench.set_ups.listings
        for of_set, questions in sets(flipkart, count, console).items():
            folder, filled = Path(name) / of_set, of_set == GENERATED
            bench.sets[of_set] = prepare(questions, filled, base, folder, picture_rows)
        yield from measure(bench, arms, replace(begun, constants=constants(bench, load)))


def constants(bench: TrainingRun, load: float) -> Options:
    """What belongs to no arm: the machine's rates, the model, the listings."""
    shape, settings = DecoderSizes.read(bench.base), TrainerSettings()
    told: Options = {
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


def measure(bench: TrainingRun, arms: Sequence[str], begun: BenchResult) -> Iterator[BenchResult]:
    """`begun` with the rows so far and the goals, after each row.

    Each arm in its best set-up and both number types; real listings in the better one.
    """
    ways = [arm for arm in arms if arm != PICTURES]
    task = bench.shown.add_task("arms", total=len(BATCHES) * len(ways))
    for batches in BATCHES:
        for arm in ways:
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
    if PICTURES in arms:
        bench.pictured(rounds=1 if bench.quick else 2, steps=1 if bench.quick else 4)
        yield _result(bench, begun)


def trl_python() -> str:
    """The interpreter that has TRL: of `.venv-trl`, else this one, which may have it too."""
    here = find_spec("trl") is not None and find_spec("datasets") is not None
    return str(TRL_PYTHON) if TRL_PYTHON.is_file() and not here else sys.executable


def _result(bench: TrainingRun, begun: BenchResult) -> BenchResult:
    rows = list(bench.rows)
    return replace(begun, rows=rows, trials=list(bench.trials), goals=goals(rows))
