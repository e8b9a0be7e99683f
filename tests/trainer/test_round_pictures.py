"""A round whose listings have pictures: trained on, calibrated and judged with what was seen."""

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from PIL import Image

from serving.adapter_file import read_adapter
from serving.pictures.picture import Picture
from serving.pictures.settings import LookingSettings
from serving.pictures.store import PictureStore
from tests.builders import COLOURS, make_rows, write_heldout, write_manifest
from tests.trainer.round_jobs import make_job, result_of, run
from trainer.data.dataset import Row
from trainer.judging.evaluate import Evaluation
from trainer.results import RoundJob

pytestmark = pytest.mark.slow


def of_colour(colour: str) -> Picture:
    out = io.BytesIO()
    Image.new("RGB", (48, 48), colour).save(out, "JPEG")
    return Picture(out.getvalue())


PICTURES = {colour: of_colour(colour) for colour in COLOURS}


def pictured(rows: Sequence[Row]) -> list[Row]:
    """Every second has a picture of its colour, and every fourth nothing else."""
    made = []
    for number, row in enumerate(rows):
        if number % 2:
            row = replace(row, pictures=(PICTURES[row.values["colour"][0]].sha256,))
        if number % 4 == 3:
            row = replace(row, listing=replace(row.listing, title="", description=""))
        made.append(row)
    return made


@dataclass(frozen=True)
class Folder:
    """Where a round has its files, with pictures in the store."""

    path: Path
    base: Path
    encoder: Path

    def job(self) -> RoundJob:
        self.path.mkdir(parents=True, exist_ok=True)
        judged = write_heldout(pictured(make_rows(8, seed=9)), self.path / "judged.jsonl")
        train = write_manifest(pictured(make_rows(8)), self.path / "pictured.parquet")
        calibrating = pictured(make_rows(4, seed=3))
        heldout = write_manifest(calibrating, self.path / "calibrating.parquet", "heldout")
        for picture in PICTURES.values():
            self.store.write(picture)
        files = {"files": [train, heldout]}
        job = make_job(self.path, self.base, files, heldout=judged)
        seeing = {
            "pictures": 1,
            "encoder": str(self.encoder),
            "looking": LookingSettings(store=str(self.path / "pictures")),
        }
        return job.model_copy(update={"serving": job.serving.model_copy(update=seeing)})

    @property
    def store(self) -> PictureStore:
        return PictureStore(str(self.path / "pictures"))


def judged(job: RoundJob) -> Evaluation:
    return Evaluation.model_validate_json(Path(result_of(job).evaluation).read_bytes())


def test_a_round_trains_and_judges_with_pictures_and_tells_of_each_kind_of_input(
    tmp_path: Path, tiny_base: Path, tiny_encoder: Path
) -> None:
    job = Folder(tmp_path, tiny_base, tiny_encoder).job()
    assert run(job) == 0
    result = result_of(job)
    made = read_adapter(Path(result.adapter_path).read_bytes())
    assert any(name.startswith("projector.") for name in made.tensors())
    kinds = [score.inputs for score in judged(job).listings]
    assert kinds == ["text", "text+image", "text", "image"] * 2
    for metrics in (result.metrics, result.parent_metrics):
        assert metrics.by_inputs is not None
        listings = {kind: own.listings for kind, own in metrics.by_inputs.items()}
        assert listings == {"text": 4, "text+image": 2, "image": 2}
    assert set(result.decision.by_inputs) == {"text", "text+image", "image"}


def test_a_round_whose_pictures_are_gone_goes_on_from_the_texts_and_says_so(
    tmp_path: Path, tiny_base: Path, tiny_encoder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Folder(tmp_path, tiny_base, tiny_encoder)
    job = folder.job()
    for picture in PICTURES.values():
        folder.store.remove(picture.sha256)
    with caplog.at_level(logging.WARNING, "trainer.data.pictures"):
        assert run(job) == 0
    assert [score.inputs for score in judged(job).listings] == ["text"] * 6
    result = result_of(job)
    assert result.metrics.by_inputs is None
    assert result.trained is not None
    assert result.trained.listings == 6
    said = [record.getMessage() for record in caplog.records]
    for use in ("judged", "trained on", "calibrated on"):
        assert sum(f"are {use} without these" in message for message in said) == 1
