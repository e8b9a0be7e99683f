"""Judges adapters on one held-out set, and remembers what it saw.

The same engine answers what an adapter is calibrated on, so that the base is loaded once.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from schemas.events import BASE_ADAPTER, Mode, RoundMetrics
from serving.adapter_file import AdapterFile
from serving.base_hash import base_hash
from serving.engine.backends import decided
from serving.engine.engine import Engine
from serving.engine.model import resolve_base
from serving.examples import schema_example
from serving.generation import GenerationResult, Generator
from serving.prompt import Example
from serving.settings import ServingSettings
from trainer.data.dataset import Row, question_hash, rows_hash
from trainer.data.pictures import RowPictures
from trainer.errors import DataError
from trainer.judging.asking import answers, question
from trainer.judging.baselines import NearestExample
from trainer.judging.evaluate import Evaluation, EvaluationKey, scored
from trainer.judging.evaluation_store import Answered, Kept
from trainer.progress import RoundProgress
from trainer.settings import TrainerSettings

DECODER = "decoder"
"""The file beside the engine's own folder that names the decoder of its answers."""

Told = Callable[[str, int, int], None]
"""Stage, listings answered in it, and listings to answer; after each answer."""


class LazyEngine:
    """An engine that is loaded when it is asked for, and again after it was closed."""

    def __init__(self, serving: ServingSettings) -> None:
        """`serving.adapter_store` is this engine's alone, and is removed when it is closed.

        Raises:
            ModelRefused, AdapterError: there is no such base model.
        """
        self.base_hash = base_hash(resolve_base(serving.base_model))
        self._serving = serving
        self._engine: Engine | None = None

    def having(self, adapter: AdapterFile | None) -> Engine:
        """The engine, which has `adapter` (None: the base).

        Raises:
            EngineError: the adapter does not fit the base.
        """
        if self._engine is None:
            self._engine = Engine(self._serving, self._serving.base_model)
        if adapter is not None:
            self._engine.push(adapter.id, adapter.hash, adapter.blob)
        return self._engine

    def close(self) -> None:
        """End it. Does nothing where it is not loaded."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        # The engine's copies; whoever judges has the originals.
        shutil.rmtree(self._serving.adapter_store, ignore_errors=True)


class Judge:
    """One held-out set and who answers it; made by `judging`, or beside a `LazyEngine`."""

    def __init__(
        self,
        rows: Sequence[Row],
        serving: ServingSettings,
        engine: LazyEngine,
        kept: Kept,
        in_flight: int,
        told: Told,
    ) -> None:
        """Judge on `rows`.

        Args:
            rows: the held-out listings, at least one. Those that have lost all that could be seen
                of them are left out.
            serving: how listings are asked (its mode, its prompt), and where their pictures are.
            engine: of the base that is judged; the same one may serve other judges.
            kept: what is remembered.
            in_flight: listings asked for at once.
            told: of the progress.

        Raises:
            DataError: none is left to judge on, or the pictures' store cannot be read.
        """
        self.pictures = RowPictures.of_settings(serving)
        self.rows = self.pictures.in_store(rows, "judged")
        if not self.rows:
            raise DataError(
                f"none of {len(rows)} held-out listings has a text, and their pictures are gone; "
                "bring the pictures' store back, or wait for newer listings"
            )
        self.heldout_hash = rows_hash(self.rows)
        self.seconds = 0.0  # spent on answers made here
        self.asked = 0  # listings that were not remembered
        self._serving = serving
        self._engine = engine
        self._kept = kept
        self._in_flight = in_flight
        self._told = told

    def evaluate(
        self,
        adapter: AdapterFile | None,
        stage: str,
        examples: Sequence[Row] = (),
        schema_shown: bool = False,
    ) -> Evaluation:
        """The evaluation of `adapter` (None: of the base), made now or remembered.

        Before each listing a worked example is shown, the nearest of `examples`, where there are
        any; or with `schema_shown` all attributes of the category with their allowed values.

        Raises:
            EngineError: the adapter does not fit the base.
            DataError: the examples have no words to compare.
        """
        key = EvaluationKey.of(
            adapter.hash if adapter else BASE_ADAPTER,
            self._engine.base_hash,
            self.heldout_hash,
            self._serving,
            bool(examples),
            schema_shown,
            rows_hash(examples) if examples else "",
        )

        def example() -> Callable[[Row], Example | None]:
            if schema_shown:
                return lambda row: schema_example(row.listing.category, row.attributes)
            return NearestExample(examples) if examples else lambda row: None

        return self._remembered(key, lambda: self._engine.having(adapter), example, stage)

    def baseline(
        self, name: str, make: Callable[[], Generator], stage: str, depends_on: str = ""
    ) -> Evaluation:
        """The evaluation of a generator that is no adapter, made now or remembered.

        Args:
            name: of what answers; `trainer.judging.comparison.ENDPOINT` begins an endpoint's.
            make: gives the generator; called only where nothing is remembered.
            depends_on: tells what else its answers depend on, such as the hash of its listings.
        """
        key = EvaluationKey.of_baseline(name, self.heldout_hash, depends_on)
        return self._remembered(key, make, lambda: lambda row: None, stage)

    def ask(
        self, adapter: AdapterFile, rows: Sequence[Row], mode: Mode, stage: str
    ) -> list[GenerationResult]:
        """The answers of `adapter` to `rows` in `mode`, made now.

        One after the other: in a batch, rounding depends on who else is in it, and these answers
        go into an adapter's hash. `rows` are as `pictures.in_store` leaves them.

        Raises:
            EngineError: the adapter does not fit the base.
        """
        engine = self._engine.having(adapter)
        started = time.perf_counter()
        settings = self._serving.model_copy(update={"mode": mode})
        key = EvaluationKey.of(adapter.hash, self._engine.base_hash, "", settings)
        results = answers(
            engine,
            rows,
            lambda row: question(row, key, pictures=self.pictures.of(row)),
            progress=lambda done, total: self._told(stage, done, total),
        )
        self.seconds += time.perf_counter() - started
        return results

    def path(self, evaluation: Evaluation) -> str:
        """The file with the evaluation's answers, absolute."""
        return str(self._kept.evaluations.path(evaluation.key).resolve())

    def _remembered(
        self,
        key: EvaluationKey,
        make: Callable[[], Generator],
        example: Callable[[], Callable[[Row], Example | None]],
        stage: str,
    ) -> Evaluation:
        """Only what was never answered under `key` is asked, whatever list it was in then."""
        known = self._kept.evaluations.get(key)
        if known is not None:
            return known
        places = [question_hash(row) for row in self.rows]
        kept = self._kept.answers.get(key)
        new = {place: row for place, row in zip(places, self.rows, strict=True)
               if place not in kept}  # fmt: skip
        if new:
            shown, started = example(), time.perf_counter()
            results = answers(
                make(),
                list(new.values()),
                lambda row: question(row, key, shown(row), self.pictures.of(row)),
                self._in_flight,
                lambda done, total: self._told(stage, done, total),
            )
            seconds = time.perf_counter() - started
            self.seconds += seconds
            self.asked += len(new)
            each = seconds / len(new)
            made = {
                place: Answered(result=result, wall_seconds=each)
                for place, result in zip(new, results, strict=True)
            }
            self._kept.answers.put(key, made)
            kept = kept | made
        found = [kept[place] for place in places]
        evaluation = scored(
            key,
            self.rows,
            [answer.result for answer in found],
            sum(answer.wall_seconds for answer in found),
            self._in_flight,
        )
        self._kept.evaluations.put(evaluation)
        return evaluation


@contextmanager
def judges_engine(
    trainer: TrainerSettings, serving: ServingSettings, scratch: Path
) -> Iterator[LazyEngine]:
    """The engine that judges ask; `scratch` is a folder for its own copies of adapters."""
    # Merging happens in the background, at a moment of its own, and rounds a little otherwise:
    # without it the same round gives the same calibration, and so the same adapter hash.
    own = {
        "adapter_store": scratch,
        "max_queue": max(serving.max_queue, trainer.eval_in_flight),
        "max_merged": 0,
    }
    engine = LazyEngine(serving.model_copy(update=own))
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def judging(
    trainer: TrainerSettings,
    serving: ServingSettings,
    rows: Sequence[Row],
    scratch: Path,
    progress: RoundProgress,
) -> Iterator[Judge]:
    """A judge on `rows` with an engine of its own and the registry's memory.

    `scratch` is a folder for the engine's own copies of adapters; beside it stays which decoder
    has judged.
    """
    serving = decided(serving, scratch.parent / DECODER)
    kept = Kept.of_registry(trainer.registry_dir)
    with judges_engine(trainer, serving, scratch) as engine:
        yield Judge(rows, serving, engine, kept, trainer.eval_in_flight, progress.update)


def metrics_of(evaluation: Evaluation, trainer: TrainerSettings) -> RoundMetrics:
    """The evaluation's metrics with their intervals, as `trainer` says, also by what is seen."""

    def of(part: Evaluation) -> RoundMetrics:
        return part.metrics(trainer.cost_of_wrong, trainer.bootstrap_draws, trainer.bootstrap_seed)

    kinds = evaluation.by_inputs()
    by_inputs = {inputs: of(own) for inputs, own in kinds.items()} if len(kinds) > 1 else None
    return of(evaluation).model_copy(update={"by_inputs": by_inputs})
