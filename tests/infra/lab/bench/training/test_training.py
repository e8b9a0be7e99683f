"""The training benchmark on the tiny model: both ways learn the same thing, and are measured."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from infra import progress
from infra.cli.app import app
from infra.lab.bench import listings
from infra.lab.bench.flops import DecoderSizes, training_flops
from infra.lab.bench.results import ArmResult, Options, begin
from infra.lab.bench.runner import run_job
from infra.lab.bench.training import lessons
from infra.lab.bench.training import run as training
from infra.lab.bench.training.arm import TrainingJob, carry_out
from infra.lab.bench.training.figures import goals, row_of
from infra.lab.bench.training.lessons import Lesson
from schemas.errors import ListuneError
from serving.engine.eyes.encoder import Encoder

RATES = {"float32": 1.0, "bfloat16": 2.0}


@pytest.fixture(scope="module")
def lesson(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    """Two listings with eight attributes each, so that a test takes seconds."""
    asked = [
        listings.Question(q.listing, q.attributes[-8:], q.truth) for q in listings.generated(2)
    ]
    return lessons.prepare(asked, True, tiny_base, tmp_path_factory.mktemp("lessons") / "generated")


def job(
    tiny_base: Path, lesson: Lesson, way: str, batches: int, **options: str | int
) -> TrainingJob:
    file = lesson.rows if way == "listune" else lesson.examples[batches]
    return TrainingJob(
        way, str(tiny_base), str(file), batches, lesson.listings, "float32", 4, 4, 1e-4,
        dict(options), steps=1,
    )  # fmt: skip


# ------------------------------------------------------------------------------------- the lessons


def test_each_branch_is_an_example_that_teaches_the_same_tokens(lesson: Lesson) -> None:
    for batches, count in ((4, 4), (0, 8)):
        tree, examples = lesson.amounts["tree", batches], lesson.amounts["examples", batches]
        written = json.loads(lesson.examples[batches].read_text())
        assert len(written) == 2 * count
        assert sum(len(example["input_ids"]) for example in written) == examples.tokens
        assert tree.label_tokens == examples.label_tokens
        assert tree.tokens < examples.tokens


def test_all_50_attributes_of_a_generated_listing_are_taught(
    tiny_base: Path, tmp_path: Path
) -> None:
    whole = lessons.prepare(listings.generated(1), True, tiny_base, tmp_path / "whole")
    assert len(json.loads(whole.examples[0].read_text())) == 50


def test_what_a_real_catalog_leaves_blank_stays_blank(tiny_base: Path, tmp_path: Path) -> None:
    question = listings.generated(1)[0]
    one = question.attributes[0].name
    known = listings.Question(question.listing, question.attributes, {one: question.truth[one]})
    blank = lessons.prepare([known], False, tiny_base, tmp_path / "blank")
    assert len(json.loads(blank.examples[0].read_text())) == 1


def test_a_training_steps_flops_are_those_counted_by_hand() -> None:
    shape = DecoderSizes(
        hidden=4, intermediate=6, layers=2, heads=2, key_heads=1, head_size=3, vocabulary=10
    )
    # Of rank 1: q 4+6, k and v 4+3, o 6+4, gate, up and down 4+6 each, in 2 layers.
    assert shape.lora_weights(1) == 2 * (10 + 7 + 7 + 10 + 3 * 10)
    linear = 13 * (4 * 288 + 6 * 3 * 128)
    head = 4 * 4 * 4 * 10
    attention = 67 * 12 * 2 * 3 * 2
    assert training_flops(shape, 3, tokens=13, logits=4, keys=67) == linear + head + attention


# ---------------------------------------------------------------------------------------- the arms


@pytest.mark.parametrize("batches", [4, 0])
def test_ours_starts_at_the_base_models_loss_on_the_examples(
    tiny_base: Path, lesson: Lesson, batches: int
) -> None:
    outcome = carry_out(job(tiny_base, lesson, "listune", batches))
    assert len(outcome["losses"]) == 2
    assert len(outcome["seconds"]) == 1
    assert outcome["peak_memory_mb"] > 10
    assert outcome["losses"][0] == pytest.approx(
        _loss(tiny_base, lesson.examples[batches]), abs=1e-4
    )


@pytest.mark.skipif(not training.TRL_PYTHON.is_file(), reason="`make bench-training` makes TRL's")
def test_trls_first_loss_is_ours_to_rounding(tiny_base: Path, lesson: Lesson) -> None:
    asked = job(tiny_base, lesson, "trl", 4, layout="packed", size=1024)
    outcome = run_job(carry_out, asked, python=str(training.TRL_PYTHON))
    assert outcome.get("not_run") is None
    ours = carry_out(job(tiny_base, lesson, "listune", 4))
    assert outcome["losses"][0] == pytest.approx(ours["losses"][0], abs=1e-4)
    assert outcome["settings"]["version"].startswith("1.16.")


def test_training_ends_once_its_seconds_are_spent(tiny_base: Path, lesson: Lesson) -> None:
    asked = TrainingJob(
        **vars(job(tiny_base, lesson, "listune", 4)) | {"steps": 50, "budget_s": 0.0}
    )
    assert len(carry_out(asked)["seconds"]) == 1


# ---------------------------------------------------------------------------------------- the rows


def outcome(step_s: float, loss: float = 2.0) -> dict[str, object]:
    return {
        "seconds": [step_s], "losses": [loss, loss], "settings": {}, "warm_up_s": 1.0,
        "peak_memory_mb": 10.0, "peak_gpu_memory_mb": None,
    }  # fmt: skip


def rows(lesson: Lesson, tiny_base: Path, trl_loss: float = 2.0) -> list[ArmResult]:
    shape = DecoderSizes.read(tiny_base)
    made = []
    for arm, batches, dtype, step_s in [
        ("listune", 4, "float32", 2.0), ("listune", 4, "bfloat16", 1.0),
        ("listune", 0, "bfloat16", 1.1), ("trl", 4, "float32", 3.0), ("trl", 4, "bfloat16", 3.5),
    ]:  # fmt: skip
        asked = TrainingJob(arm, "", "", batches, 2, dtype, 4, 4, 1e-4)
        told: Options = {"arm": arm, "set": "generated", "batches": batches, "dtype": dtype}
        measured = outcome(step_s, trl_loss if arm == "trl" else 2.0)
        amount = lesson.amounts["tree", batches]
        made.append(row_of(arm, told, asked, amount, shape, RATES, measured))
    return made


def test_each_arm_counts_in_its_best_number_type(lesson: Lesson, tiny_base: Path) -> None:
    speed, cost, loss = goals(rows(lesson, tiny_base))
    assert (speed.measured, speed.met) == (3.0, True)
    assert (cost.measured, cost.met) == (pytest.approx(1.1), True)
    assert (loss.measured, loss.met) == (0.0, True)


def test_arms_that_learn_different_things_miss_a_goal(lesson: Lesson, tiny_base: Path) -> None:
    assert goals(rows(lesson, tiny_base, trl_loss=2.1))[2].met is False


def test_goals_without_their_arms_say_so() -> None:
    for goal in goals([]):
        assert goal.met is None
        assert goal.reason


def test_a_row_tells_products_tokens_and_the_share_of_the_limit(
    lesson: Lesson, tiny_base: Path
) -> None:
    figures = rows(lesson, tiny_base)[0].figures
    amount = lesson.amounts["tree", 4]
    assert figures["products_per_s"] == 1.0
    assert figures["tokens_per_s"] == amount.tokens / 2.0
    assert figures["label_tokens_per_s"] == amount.label_tokens / 2.0
    flops = training_flops(
        DecoderSizes.read(tiny_base), 4, amount.tokens, amount.label_tokens, amount.keys
    )
    assert figures["limit_share"] == pytest.approx(flops / 1e9 / 2.0)


# ----------------------------------------------------------------------------------- the benchmark


def test_the_best_set_up_is_found_and_used_in_both_number_types(
    lesson: Lesson, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TrainingJob] = []

    def measured(_shown: object, _label: str, _work: object, job: TrainingJob, _python: str) -> Any:
        asked.append(job)
        return outcome(1.0 if job.options.get("layout") == "packed" else 2.0)

    monkeypatch.setattr(training, "run_shown", measured)
    shown = progress.bar(Console(quiet=True))
    bench = training.TrainingRun(
        tiny_base, shown, training.CPU, RATES, sets={listings.GENERATED: lesson}
    )
    *_, result = training.measure(bench, ("trl",), begin("training"))
    assert [row.settings["dtype"] for row in result.rows] == ["bfloat16", "float32"] * 2
    assert all(row.settings["layout"] == "packed" for row in result.rows)
    assert len(result.trials) == 2 * len(training.CPU.trl)
    assert {job.dtype for job in asked[: len(training.CPU.trl)]} == {"bfloat16"}


def test_an_unknown_arm_is_refused_before_anything_is_measured() -> None:
    refused = CliRunner().invoke(app, ["bench", "training", "--arms", "trl,warp"])
    assert isinstance(refused.exception, ListuneError)
    assert "--arms warp: the arms are listune, trl" in str(refused.exception)


# ------------------------------------------------------------------------------------- pictures


def test_a_picture_adds_its_rows_to_each_trunk(
    tiny_base: Path, tmp_path: Path, lesson: Lesson
) -> None:
    assert lesson.amounts["pictured", 4] == lesson.amounts["tree", 4]
    asked = [
        listings.Question(q.listing, q.attributes[-8:], q.truth) for q in listings.generated(2)
    ]
    seen = lessons.prepare(asked, True, tiny_base, tmp_path / "seen", picture_rows=4)
    text, pictured = seen.amounts["tree", 4], seen.amounts["pictured", 4]
    assert text == lesson.amounts["tree", 4]
    assert pictured.tokens == text.tokens + 2 * 4
    assert pictured.label_tokens == text.label_tokens
    assert pictured.keys >= text.keys + 4 * text.label_tokens


@pytest.mark.parametrize(("kind", "computed"), [("none", 0), ("kept", 2), ("new", 4)])
def test_each_step_sees_what_its_kind_says(
    tiny_base: Path, tiny_encoder: Path, lesson: Lesson, kind: str, computed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    looked: list[object] = []
    features = Encoder.features
    monkeypatch.setattr(
        Encoder, "features", lambda *given: looked.append(given) or features(*given)
    )
    asked = job(tiny_base, lesson, "listune", 4, picture=kind, encoder=str(tiny_encoder))
    outcome = carry_out(asked)
    assert len(outcome["losses"]) == 2
    assert len(looked) == computed


def test_pictures_are_compared_with_the_text_of_the_same_round(
    tiny_base: Path, tiny_encoder: Path, lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    seconds = {"none": iter([2.0, 4.0]), "new": iter([3.0, 8.0]), "kept": iter([2.0, 5.0])}

    def measured(_shown: object, _label: str, _work: object, job: TrainingJob) -> Any:
        asked.append(str(job.options["picture"]))
        return outcome(next(seconds[asked[-1]])) | {"peak_memory_mb": 10.0 * len(asked)}

    monkeypatch.setattr(training, "run_shown", measured)
    shown = progress.bar(Console(quiet=True))
    bench = training.TrainingRun(
        tiny_base, shown, training.CPU, RATES, encoder=tiny_encoder,
        sets={listings.GENERATED: lesson},
    )  # fmt: skip
    (result,) = training.measure(bench, ("pictures",), begin("training"))
    assert asked == ["none", "new", "kept", "kept", "new", "none"]
    none, new, kept = result.rows
    assert none.raw["step_s"] == [2.0, 4.0]
    assert (none.figure("times_text"), none.figures["peak_memory_mb"]) == (None, 60.0)
    assert new.figures["times_text"] == pytest.approx(1.75)
    assert kept.figures["times_text"] == pytest.approx(1.125)
    assert {goal.met for goal in result.goals} == {None}


def test_a_kind_that_did_not_run_says_so_in_its_row(
    tiny_base: Path, lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "run_shown", lambda *_: {"not_run": "it failed"})
    shown = progress.bar(Console(quiet=True))
    sets = {listings.GENERATED: lesson}
    bench = training.TrainingRun(tiny_base, shown, training.CPU, RATES, sets=sets)
    (result,) = training.measure(bench, ("pictures",), begin("training"))
    assert [row.not_run for row in result.rows] == ["it failed"] * 3


def _loss(tiny_base: Path, examples: Path) -> float:
    """Nats a taught token of the base model, an example at a time."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    summed, taught = 0.0, 0
    for example in json.loads(examples.read_text()):
        summed += _summed_loss(model, example["input_ids"], example["completion_mask"])
        taught += sum(example["completion_mask"])
    return summed / taught


@torch.no_grad()
def _summed_loss(model: torch.nn.Module, ids: Sequence[int], mask: Sequence[int]) -> float:
    logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
    return float((losses * torch.tensor(mask[1:])).sum())
