"""A round from manifest to verdict, whole and interrupted."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForCausalLM

from schemas.category import AttributeType
from schemas.events import Mode
from serving.adapter_file import read_adapter
from serving.calibration import POOLED
from serving.engine.branch import Answer
from serving.engine.model import load_base
from serving.engine.preparing import judge
from serving.prompt import PromptBuilder
from tests.builders import make_rows, write_manifest
from tests.trainer.round_jobs import REPOSITORY, files_of, make_job, result_of, run, start, write
from tests.waiting import wait_for
from trainer.data.dataset import Row, rows_hash
from trainer.data.registry import Registry
from trainer.judging.evaluate import METRICS, Evaluation
from trainer.progress import read_progress
from trainer.results import EXIT_REFUSED, FAILURE, RESULT, RoundJob, round_folder
from trainer.round import CALIBRATED, CHECKPOINT, TRAINED

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> RoundJob:
    job = make_job(tmp_path_factory.mktemp("round"), tiny_base)
    assert run(job) == 0
    return job


def test_a_round_ends_with_a_judged_adapter_in_the_registry(finished: RoundJob) -> None:
    result = result_of(finished)
    entry = Registry(finished.trainer.registry_dir).get("default-r1-a1")
    assert entry.read().hash == result.adapter_hash
    assert entry.lineage.decision == result.decision
    assert entry.lineage.metrics == result.metrics
    assert entry.lineage.heldout_hash == rows_hash(make_rows(4, seed=9))
    assert Path(result.adapter_path) == entry.path.resolve()
    assert result.metrics.listings == 4
    assert result.trained is not None
    assert result.trained.last_loss < result.trained.first_loss
    assert len(Path(str(result.losses)).read_text().splitlines()) == 8


def test_its_steps_can_be_followed_in_tensorboard(finished: RoundJob) -> None:
    shown = EventAccumulator(str(finished.folder / "tensorboard"))
    shown.Reload()
    lines = Path(str(result_of(finished).losses)).read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert [event.value for event in shown.Scalars("loss")] == pytest.approx(losses)


def test_its_adapter_is_calibrated_on_the_streams_held_out_listings(finished: RoundJob) -> None:
    made = read_adapter(Path(result_of(finished).adapter_path).read_bytes()).calibration
    assert made is not None
    assert made.least_probability == pytest.approx(0.2)
    assert {(curve.mode, curve.kind) for curve in made.curves} <= {(m, POOLED) for m in Mode}
    labelled = sum(len(row.filled()) for row in make_rows(2, seed=3))
    constrained = made.curve(Mode.CONSTRAINED, AttributeType.ENUM)
    assert constrained is not None
    assert 0 < constrained.examples <= labelled
    assert constrained.threshold is not None
    for left in (TRAINED, CALIBRATED, CHECKPOINT):
        assert not (finished.folder / left).exists()


def test_plain_peft_gives_the_same_values_with_what_the_registry_exports(
    finished: RoundJob, tiny_base: Path, tmp_path: Path
) -> None:
    """Every question of every held-out listing, by peft's own model and its own `generate`."""
    Registry(finished.trainer.registry_dir).export("default-r1-a1", tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    peft = PeftModel.from_pretrained(model, tmp_path)
    builder = PromptBuilder(load_base(finished.serving, tiny_base).vocabulary, finished.serving)
    judged = Evaluation.model_validate_json(Path(result_of(finished).evaluation).read_bytes())
    said = {text for score in judged.listings for text in score.invalid.values()}
    assert len(said) > 4, "the answers compared are diverse"
    for row, score in zip(make_rows(4, seed=9), judged.listings, strict=True):
        answers = answers_by(peft, builder, row)
        assert judge(row.attributes, answers, Mode.FREE) == (score.values, score.invalid)


def answers_by(model: PeftModel, builder: PromptBuilder, row: Row) -> dict[str, Answer]:
    """Branch by branch: a question, its answer up to a stop token, a newline, the next question."""
    vocabulary = builder.vocabulary
    tree = builder.tree(row.listing, row.attributes)
    answers = {}
    for branch in tree.branches:
        ids = list(tree.trunk.ids)
        for segment in branch:
            ids += segment.ids
            prompt = torch.tensor([ids])
            generated = model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                do_sample=False,
                max_new_tokens=builder.cap(segment.attribute),
                eos_token_id=vocabulary.stops,
                pad_token_id=0,
            )
            new = generated[0, len(ids) :].tolist()
            complete = new[-1] in vocabulary.stop_ids
            kept = new[:-1] if complete else new
            text = vocabulary.decode(kept)
            answers[segment.attribute.name] = Answer(tuple(kept), text, 1.0, complete)
            ids += [*kept, vocabulary.newline]
    return answers


def test_a_finished_round_is_not_run_again(finished: RoundJob) -> None:
    before = (finished.folder / RESULT).stat().st_mtime_ns
    assert run(finished) == 0
    assert (finished.folder / RESULT).stat().st_mtime_ns == before


def test_a_result_of_another_request_is_refused_unread(finished: RoundJob, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "work")
    other = finished.retrain.model_copy(update={"k": 7})
    job = finished.model_copy(update={"retrain": other, "folder": tmp_path / "work"})
    assert run(job) == EXIT_REFUSED
    reason = json.loads((job.folder / FAILURE).read_text())["reason"]
    assert "answers another request than this round's" in reason


def test_a_round_whose_name_another_rounds_adapter_has_trains_nothing(
    finished: RoundJob, tmp_path: Path
) -> None:
    other = finished.retrain.model_copy(update={"files": finished.retrain.files[:1]})
    job = finished.model_copy(update={"retrain": other, "folder": tmp_path / "work"})
    assert run(job) == EXIT_REFUSED
    assert "two environments share" in json.loads((job.folder / FAILURE).read_text())["reason"]
    assert not (job.folder / TRAINED).exists()


def test_the_next_round_starts_from_the_last_and_reuses_its_evaluation(
    finished: RoundJob, tiny_base: Path
) -> None:
    first = result_of(finished)
    request = {
        "round": 2,
        "parent_id": first.adapter_id,
        "parent_hash": first.adapter_hash,
        "parent_uri": first.adapter_path,
    }
    root = finished.trainer.registry_dir.parent
    second = make_job(root, tiny_base, request).model_copy(update={"folder": root / "second"})
    assert run(second) == 0
    result = result_of(second)
    assert result.parent_evaluation == first.evaluation
    assert result.parent_metrics == first.metrics
    assert result.trained is not None
    assert first.trained is not None
    assert result.trained.first_loss < first.trained.first_loss
    chain = Registry(finished.trainer.registry_dir).chain(result.adapter_id)
    assert [entry.lineage.adapter_id for entry in chain] == ["default-r1-a1", "default-r2-a1"]
    assert chain[1].lineage.trained_on == [files_of(second, "train")[0].sha256]


def test_its_parent_and_itself_are_judged_again_on_the_first_rounds_held_out_listings(
    replayed: RoundJob,
) -> None:
    [earlier] = result_of(replayed).forgetting
    assert (earlier.round, earlier.listings) == (1, 1)
    assert set(earlier.parent) == set(earlier.candidate) == set(METRICS)
    assert str(earlier).startswith("round 1 (1 listings): net_benefit ")


def test_a_replaying_round_says_what_it_was_trained_on(
    finished: RoundJob, replayed: RoundJob
) -> None:
    result = result_of(replayed)
    lineage = Registry(replayed.trainer.registry_dir).get(result.adapter_id).lineage
    hashes = [files_of(job, "train")[0].sha256 for job in (finished, replayed)]
    assert lineage.trained_on == hashes
    assert result.trained is not None
    assert (result.trained.listings, lineage.earlier_listings) == (8, 2)
    assert lineage.parent_share == 0.25
    assert lineage.average_error is not None
    assert 0 < lineage.average_error < 1
    assert lineage.forgetting == result.forgetting


@pytest.fixture(scope="module")
def replayed(finished: RoundJob, tiny_base: Path) -> RoundJob:
    """A second round that replays from `finished`, on listings of its own."""
    first = result_of(finished)
    root = finished.trainer.registry_dir.parent
    request = {
        "round": 3,
        "parent_id": first.adapter_id,
        "parent_hash": first.adapter_hash,
        "files": [write_manifest(make_rows(6, seed=5), root / "third.parquet")],
    }
    changes = {"strategy": "replay", "forgetting": 1, "registry_dir": root / "registry"}
    job = make_job(root / "third", tiny_base, request, **changes)
    assert run(job) == 0
    return job


def test_a_killed_round_goes_on_where_it_was(
    finished: RoundJob, tmp_path: Path, tiny_base: Path
) -> None:
    job = make_job(tmp_path, tiny_base)
    process = start(job)
    checkpoint = job.folder / "checkpoint.pt"
    wait_for(lambda: checkpoint.exists() or process.poll() is not None, pause_s=0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert checkpoint.exists()
    assert not (job.folder / RESULT).exists()
    assert run(job) == 0
    killed, whole = result_of(job), result_of(finished)
    assert read_adapter(Path(killed.adapter_path).read_bytes()).hash == whole.adapter_hash
    assert killed.metrics.recall == whole.metrics.recall


def test_a_round_killed_after_its_calibration_gives_the_same_adapter(
    finished: RoundJob, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path, tiny_base)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("trainer.judging.champions.decide", killed)
        with pytest.raises(KeyboardInterrupt):
            run(job)
    calibrated = (job.folder / CALIBRATED).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("trainer.judging.judge.Engine", killed)  # nothing is answered again
        assert run(job) == 0
    assert read_adapter(calibrated).hash == result_of(job).adapter_hash
    assert result_of(job).adapter_hash == result_of(finished).adapter_hash


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_round_that_cannot_be_completed_says_why_whichever_process_finds_it(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, rank: str
) -> None:
    monkeypatch.setenv("RANK", rank)
    job = make_job(tmp_path, tiny_base, {"parent_id": "default-r7-a1", "parent_hash": "0" * 64})
    assert run(job) == EXIT_REFUSED
    assert "default-r7-a1" in json.loads((job.folder / FAILURE).read_text())["reason"]


def test_a_further_look_judges_the_rounds_adapter_on_the_listings_of_then(
    tmp_path: Path, tiny_base: Path
) -> None:
    train = write_manifest(make_rows(6), tmp_path / "six.parquet")
    early = write_manifest(make_rows(20, seed=3), tmp_path / "early.parquet", "heldout")
    late = write_manifest(
        [*make_rows(20, seed=3), *make_rows(10, seed=4)], tmp_path / "late.parquet", "heldout"
    )
    stream = {"heldout": None, "calibration_share": 0.3, "steps": 2}
    first = make_job(tmp_path, tiny_base, {"files": [train, early]}, **stream)
    assert run(first) == 0
    look = first.retrain.model_copy(update={"look": 2, "files": [late]})
    folder = round_folder(first.trainer.work_dir, look)
    again = first.model_copy(update={"retrain": look, "folder": folder})
    assert run(again) == 0
    one, two = result_of(first), result_of(again)
    assert two.adapter_hash == one.adapter_hash
    assert two.trained is None
    assert two.decision.look == 2
    assert two.decision.listings > one.decision.listings
    assert two.eval_seconds < one.eval_seconds, "what was answered before is not asked again"
    lineage = Registry(first.trainer.registry_dir).get(one.adapter_id).lineage
    assert lineage.decision == one.decision


def test_two_processes_train_what_one_trains(
    finished: RoundJob, tmp_path: Path, tiny_base: Path
) -> None:
    job = make_job(tmp_path, tiny_base, processes=2)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    command += ["--num_processes", "2", "--main_process_port", "0"]
    command += ["-m", "trainer.round", "--job", write(job)]
    assert subprocess.run(command, cwd=REPOSITORY, timeout=200, check=False).returncode == 0
    two, one = result_of(job).trained, result_of(finished).trained
    assert two is not None
    assert one is not None
    assert two.label_tokens == one.label_tokens
    assert two.first_loss == pytest.approx(one.first_loss, rel=1e-5)
    assert two.last_loss == pytest.approx(one.last_loss, rel=1e-2)


def test_how_far_a_round_is_can_be_read_from_outside(finished: RoundJob) -> None:
    place = read_progress(finished.folder / "progress.json")
    assert place is not None
    assert place.done == place.total
