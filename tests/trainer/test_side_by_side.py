"""Adapters and the base asked for the same listings."""

from pathlib import Path

import pytest

from schemas.events import BASE_ADAPTER
from serving.settings import ServingSettings
from tests.builders import make_rows, write_heldout
from trainer.results import (
    ARMS,
    EXIT_REFUSED,
    FAILURE,
    JOB,
    ONE_EXAMPLE,
    SIDE_BY_SIDE,
    Contender,
    Failure,
    SideBySideJob,
)
from trainer.settings import TrainerSettings
from trainer.side_by_side import main


def make_job(folder: Path, base: Path, adapters: list[str]) -> SideBySideJob:
    return SideBySideJob(
        trainer=TrainerSettings(registry_dir=folder / "registry", progress=False),
        serving=ServingSettings(
            base_model=str(base), dtype="float32", decoder="torch", device="cpu", threads=1
        ),
        folder=folder / "job",
        heldout=write_heldout(make_rows(4, seed=9), folder / "heldout.jsonl"),
        examples=write_heldout(make_rows(4), folder / "examples.jsonl"),
        adapters=adapters,
    )


def run(job: SideBySideJob) -> int:
    job.folder.mkdir(exist_ok=True)
    (job.folder / JOB).write_text(job.model_dump_json())
    return main(["--job", str(job.folder / JOB)])


def test_the_base_answers_without_and_with_an_example(tmp_path: Path, tiny_base: Path) -> None:
    job = make_job(tmp_path, tiny_base, [])
    assert run(job) == 0
    base, shown = ARMS.validate_json((job.folder / SIDE_BY_SIDE).read_bytes())
    assert (base.name, shown.name) == (BASE_ADAPTER, ONE_EXAMPLE)
    assert base.difference is None
    assert shown.difference is not None
    assert shown.difference.value == pytest.approx(worth(shown) - worth(base))
    assert shown.difference.lower <= shown.difference.value <= shown.difference.upper
    assert base.evaluation.is_file()


def worth(arm: Contender) -> float:
    assert arm.metrics.net_benefit is not None
    return arm.metrics.net_benefit.value


def test_an_adapter_that_is_not_there_is_named(tmp_path: Path, tiny_base: Path) -> None:
    job = make_job(tmp_path, tiny_base, ["default-r1-a1"])
    assert run(job) == EXIT_REFUSED
    failure = Failure.model_validate_json((job.folder / FAILURE).read_bytes())
    assert "default-r1-a1" in failure.reason
