"""Rounds that a tiny model does in a second, as the command runs them."""

import subprocess
import sys
from pathlib import Path

from schemas.events import ManifestFile, RetrainRequest
from serving.settings import ServingSettings
from tests.builders import make_rows, write_heldout, write_manifest
from trainer.results import JOB, RESULT, RoundJob, RoundResult
from trainer.round import main
from trainer.settings import TrainerSettings

# Below all that is possible, so that every candidate passes.
ANYTHING = -2.0

REPOSITORY = Path(__file__).resolve().parents[2]


def make_job(
    folder: Path, base: Path, request: dict[str, object] | None = None, **trainer: object
) -> RoundJob:
    """A round of six listings judged on four, small enough for a tiny model."""
    folder.mkdir(parents=True, exist_ok=True)
    train = write_manifest(make_rows(6), folder / "train.parquet")
    heldout = write_manifest(make_rows(2, seed=3), folder / "heldout.parquet", "heldout")
    settings: dict[str, object] = {
        "rank": 4,
        "alpha": 8,
        "learning_rate": 1e-2,
        "steps": 8,
        "batch_size": 4,
        "checkpoint_every": 2,
        "dtype": "float32",
        "registry_dir": folder / "registry",
        "work_dir": folder / "rounds",
        "heldout": write_heldout(make_rows(4, seed=9), folder / "heldout.jsonl"),
        "calibration_share": 0.999,  # the file judges alone
        "least_gain": ANYTHING,
        "bootstrap_draws": 200,
        "progress": False,
    }
    retrain: dict[str, object] = {
        "pool": "default",
        "round": 1,
        "parent_id": "base",
        "parent_hash": "base",
        "selection": "gap",
        "k": 6,
        "min_gap": 0.0,
        "files": [train, heldout],
    }
    return RoundJob(
        retrain=RetrainRequest.model_validate(retrain | (request or {})),
        trainer=TrainerSettings.model_validate(settings | trainer),
        serving=ServingSettings(
            base_model=str(base),
            dtype="float32",
            decoder="torch",
            device="cpu",
            threads=1,
            max_answer_tokens=12,  # a random model seldom stops by itself
        ),
        folder=folder / "rounds" / "work",
    )


def write(job: RoundJob) -> str:
    job.folder.mkdir(parents=True, exist_ok=True)
    path = job.folder / JOB
    path.write_text(job.model_dump_json())
    return str(path)


def start(job: RoundJob) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "trainer.round", "--job", write(job)]
    return subprocess.Popen(command, cwd=REPOSITORY)


def run(job: RoundJob) -> int:
    """The command within this process: starting one takes longer than the round."""
    return main(["--job", write(job)])


def result_of(job: RoundJob) -> RoundResult:
    return RoundResult.model_validate_json((job.folder / RESULT).read_bytes())


def files_of(job: RoundJob, role: str) -> list[ManifestFile]:
    return [file for file in job.retrain.files if file.role == role]
