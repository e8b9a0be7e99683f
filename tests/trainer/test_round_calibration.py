"""What a round's adapter is calibrated on, and what it says in each mode once it is."""

from pathlib import Path

import pytest

from schemas.category import AttributeType
from schemas.events import Mode
from schemas.heldout import calibrates
from serving.adapter_file import CALIBRATION, AdapterFile, read_adapter, write_adapter
from serving.calibration import POOLED
from serving.engine.engine import Engine
from serving.generation import GenerationRequest, GenerationResult
from tests.builders import make_rows, write_manifest
from tests.trainer.round_jobs import files_of, make_job, result_of, run
from trainer.judging.calibrate import calibrate, suggestions
from trainer.judging.evaluate import Evaluation

pytestmark = pytest.mark.slow

# A model this small and random is not often right.
TARGET = 0.3


def test_without_held_out_listings_of_the_stream_there_is_no_calibration_and_the_log_says_so(
    tmp_path: Path, tiny_base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job(tmp_path, tiny_base, steps=2)
    retrain = job.retrain.model_copy(update={"files": files_of(job, "train")})
    bare = job.model_copy(update={"retrain": retrain})
    assert run(bare) == 0
    assert read_adapter(Path(result_of(bare).adapter_path).read_bytes()).calibration is None
    assert "no listings to calibrate on" in caplog.text


def test_without_a_benchmark_the_streams_held_out_listings_calibrate_and_judge(
    tmp_path: Path, tiny_base: Path
) -> None:
    rows = make_rows(12, seed=3)
    more = write_manifest(rows, tmp_path / "more.parquet", "heldout")
    train = write_manifest(make_rows(6), tmp_path / "six.parquet")
    stream = {"heldout": None, "calibration_share": 0.3, "steps": 2}
    job = make_job(tmp_path, tiny_base, {"files": [train, more]}, **stream)
    assert run(job) == 0
    calibrating = [r for r in rows if calibrates(r.listing.listing_id, 0.3)]
    judged = Evaluation.model_validate_json(Path(result_of(job).evaluation).read_bytes())
    assert 0 < len(calibrating) < len(rows)
    assert {score.listing_id for score in judged.listings} == {
        r.listing.listing_id for r in rows if r not in calibrating
    }


class Calibrated:
    """A round with enough held-out listings for a threshold, and what its adapter answers to
    them, by mode: `answers` as it is, `bare` without its calibration."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.rows = make_rows(24, seed=3)
        job = make_job(folder, base, target_precision=TARGET)
        more = write_manifest(self.rows, folder / "more.parquet", "heldout")
        files = [*files_of(job, "train"), more]
        retrain = job.retrain.model_copy(update={"files": files})
        job = job.model_copy(update={"retrain": retrain})
        assert run(job) == 0
        self.adapter = read_adapter(Path(result_of(job).adapter_path).read_bytes())
        header = {k: v for k, v in self.adapter.metadata.items() if k != CALIBRATION}
        bare = write_adapter(self.adapter.tensors(), header | {"adapter_id": "bare"})
        serving = job.serving.model_copy(
            update={"adapter_store": folder / "store", "max_merged": 0}
        )
        with Engine(serving, base) as engine:
            self.answers = self._ask(engine, self.adapter)
            self.bare = self._ask(engine, read_adapter(bare))

    def _ask(self, engine: Engine, adapter: AdapterFile) -> dict[Mode, list[GenerationResult]]:
        engine.push(adapter.id, adapter.hash, adapter.blob)
        return {
            mode: [
                engine.generate(
                    GenerationRequest(row.listing, row.attributes, mode, adapter_hash=adapter.hash)
                )
                for row in self.rows
            ]
            for mode in Mode
        }


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Calibrated:
    return Calibrated(tmp_path_factory.mktemp("calibrated"), tiny_base)


def test_a_rounds_calibration_is_that_of_its_answers_to_the_held_out_listings(
    calibrated: Calibrated,
) -> None:
    examples = {
        mode: [
            example
            for row, result in zip(calibrated.rows, results, strict=True)
            for example in suggestions(row, result)
        ]
        for mode, results in calibrated.bare.items()
    }
    assert calibrated.adapter.calibration == calibrate(examples, 0.25, TARGET)


def test_in_constrained_mode_the_engine_abstains_below_the_adapters_threshold(
    calibrated: Calibrated,
) -> None:
    made = calibrated.adapter.calibration
    assert made is not None
    threshold = made.threshold(Mode.CONSTRAINED, AttributeType.DATE)  # of no kind here: the pooled
    assert threshold is not None
    assert {curve.kind for curve in made.curves if curve.mode is Mode.CONSTRAINED} == {POOLED}
    blanked = 0
    for with_it, without in zip(
        calibrated.answers[Mode.CONSTRAINED], calibrated.bare[Mode.CONSTRAINED], strict=True
    ):
        sure = {n: v for n, v in without.values.items() if without.confidence[n] >= threshold}
        assert with_it.values == sure
        blanked += len(without.values) - len(sure)
    assert blanked > 0


def test_in_free_mode_the_engine_never_abstains(calibrated: Calibrated) -> None:
    with_it, without = (
        [(answer.values, answer.invalid) for answer in answers[Mode.FREE]]
        for answers in (calibrated.answers, calibrated.bare)
    )
    assert with_it == without
    assert any(values or invalid for values, invalid in with_it)
