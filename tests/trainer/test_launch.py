"""A round's folder is of one request: what another left there is never used."""

from pathlib import Path

import pytest

from schemas.events import ManifestFile, RetrainRequest
from serving.settings import ServingSettings
from trainer.launch import prepare
from trainer.results import RESULT, RoundJob, adapter_id, round_folder
from trainer.settings import TrainerSettings


def retrain(**changes: object) -> RetrainRequest:
    file = ManifestFile(role="train", path="train.parquet", sha256="1" * 64, rows=6)
    given = {
        "pool": "default",
        "round": 1,
        "parent_id": "base",
        "parent_hash": "base",
        "selection": "gap",
        "k": 6,
        "min_gap": 0.0,
        "created_ms": 1_000,
        "files": [file],
    }
    return RetrainRequest.model_validate(given | changes)


def job(folder: Path, request: RetrainRequest) -> RoundJob:
    return RoundJob(
        retrain=request,
        trainer=TrainerSettings(work_dir=folder),
        serving=ServingSettings(),
        folder=round_folder(folder, request),
    )


def test_what_the_same_request_left_is_kept(tmp_path: Path) -> None:
    first = job(tmp_path, retrain())
    prepare(first)
    (first.folder / "trained.json").write_text("{}")
    prepare(job(tmp_path, retrain()))
    assert (first.folder / "trained.json").exists()


OTHER_FILE = ManifestFile(role="train", path="train.parquet", sha256="2" * 64, rows=6)


@pytest.mark.parametrize(
    "other",
    [{"files": [OTHER_FILE]}, {"parent_hash": "2" * 64}, {"k": 7}, {"created_ms": 2_000}],
)
def test_what_another_request_left_is_set_aside_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, other: dict[str, object]
) -> None:
    old = job(tmp_path, retrain(**other))
    prepare(old)
    (old.folder / RESULT).write_text("old")
    new = job(tmp_path, retrain())
    prepare(new)
    assert not (new.folder / RESULT).exists()
    [aside] = tmp_path.glob("default-r1-a1.of-*")
    assert (aside / RESULT).read_text() == "old"
    assert f"kept as {aside.name} and not used" in caplog.text


def test_a_result_of_which_nobody_knows_whose_it_is_is_set_aside_each_time(tmp_path: Path) -> None:
    new = job(tmp_path, retrain())
    for left in ("one", "two"):
        new.folder.mkdir()
        (new.folder / RESULT).write_text(left)
        prepare(new)
        assert not (new.folder / RESULT).exists()
        (new.folder / "job.json").unlink()
        new.folder.rmdir()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["default-r1-a1.of-unknown", "default-r1-a1.of-unknown.2"]


def test_an_adapter_is_named_after_its_kafka_so_that_two_can_share_a_disk() -> None:
    here = retrain(cluster_id="q1Sh-9zCSeGVxlEK0OUNJA", topic_id="t1")
    others = [
        retrain(cluster_id="4L6g3nShT-eMCtK--X86sw", topic_id="t1"),
        retrain(cluster_id="q1Sh-9zCSeGVxlEK0OUNJA", topic_id="t2"),
    ]
    names = {adapter_id(one) for one in (here, *others)}
    assert len(names) == 3
    assert all(name.startswith("default-r1-a1-") for name in names)
    assert adapter_id(here) == adapter_id(here.model_copy(update={"look": 2}))


def test_a_round_from_before_kafkas_id_was_told_keeps_its_name() -> None:
    assert adapter_id(retrain()) == "default-r1-a1"
