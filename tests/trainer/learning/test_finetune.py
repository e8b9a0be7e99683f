"""A round starts where its parent stands, ends somewhere else, and survives a kill in between."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from serving.adapter_file import AdapterFile, read_adapter, write_adapter
from serving.settings import ServingSettings
from tests.builders import make_rows
from trainer.data.dataset import Row
from trainer.errors import TrainingError
from trainer.learning import finetune as module
from trainer.learning import gradient, lora
from trainer.learning.finetune import Finetuned, StepReport, finetune
from trainer.learning.packing import Batch, PackedTree, collate
from trainer.settings import TrainerSettings

pytestmark = pytest.mark.slow

TRAINER = TrainerSettings(
    rank=4, alpha=8, learning_rate=1e-2, steps=6, batch_size=3, dtype="float32", checkpoint_every=2
)


def train(
    base: Path, folder: Path, parent: AdapterFile | None = None, **changes: object
) -> Finetuned:
    trainer = TRAINER.model_copy(update=changes)
    return finetune(make_rows(5), parent, trainer, serving(base), folder)


def serving(base: Path) -> ServingSettings:
    return ServingSettings(device="cpu", dtype="float32", base_model=str(base))


def as_adapter(made: Finetuned, adapter_id: str = "default-r1-a1") -> AdapterFile:
    metadata = {
        "adapter_id": adapter_id,
        "parent_id": "base",
        "parent_hash": "base",
        "base_hash": made.base_hash,
        "rank": TRAINER.rank,
        "alpha": TRAINER.alpha,
        "peft_config": made.peft_config,
    }
    return read_adapter(write_adapter(made.tensors, metadata))


def equal(one: lora.LoraTensors, other: lora.LoraTensors) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.fixture
def two_cores() -> Iterator[None]:
    cores = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(cores)


def test_training_lowers_the_loss(tiny_base: Path, tmp_path: Path) -> None:
    made = train(tiny_base, tmp_path, steps=15)
    assert made.losses[-1].loss < 0.7 * made.losses[0].loss
    logged = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged] == list(range(1, 16))


def test_lora_is_on_all_linear_layers_of_the_blocks_and_not_on_the_head(
    tiny_base: Path, tmp_path: Path
) -> None:
    made = train(tiny_base, tmp_path, steps=1)
    assert len(made.tensors) == 2 * 7 * 2  # layers x linear modules x (A, B)
    assert not any("lm_head" in name for name in made.tensors)
    assert made.trainable_parameters == sum(t.numel() for t in made.tensors.values())


def test_a_round_resumed_after_a_kill_gives_the_same_adapter(
    tiny_base: Path, tmp_path: Path
) -> None:
    whole = train(tiny_base, tmp_path / "whole", dropout=0.1)

    class Killed(Exception):
        pass

    def kill(report: StepReport) -> None:
        if report.step == 5:
            raise Killed

    trainer = TRAINER.model_copy(update={"dropout": 0.1})
    with pytest.raises(Killed):
        finetune(make_rows(5), None, trainer, serving(tiny_base), tmp_path / "cut", kill)
    steps: list[int] = []
    resumed = finetune(
        make_rows(5),
        None,
        trainer,
        serving(tiny_base),
        tmp_path / "cut",
        lambda report: steps.append(report.step),
    )
    assert steps == [5, 6]
    assert equal(resumed.tensors, whole.tensors)
    assert [r.loss for r in resumed.losses] == [r.loss for r in whole.losses]


def test_another_rounds_checkpoint_is_not_gone_on_from(tiny_base: Path, tmp_path: Path) -> None:
    train(tiny_base, tmp_path)
    again = train(tiny_base, tmp_path, seed=1)
    assert [report.step for report in again.losses] == [1, 2, 3, 4, 5, 6]


def test_the_next_round_starts_where_its_parent_stands(tiny_base: Path, tmp_path: Path) -> None:
    first = train(tiny_base, tmp_path / "1", steps=15)
    second = train(tiny_base, tmp_path / "2", parent=as_adapter(first), learning_rate=1e-6)
    assert second.losses[0].loss < 1.2 * first.losses[-1].loss
    assert not equal(first.tensors, second.tensors)


def test_a_model_that_does_not_start_at_its_parent_is_refused(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = as_adapter(train(tiny_base, tmp_path / "1"))
    monkeypatch.setattr(module.lora, "write_lora", lambda model, tensors: None)
    with pytest.raises(TrainingError, match="where its parent has"):
        train(tiny_base, tmp_path / "2", parent=parent)


def test_a_parent_of_another_rank_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    parent = as_adapter(train(tiny_base, tmp_path / "1"))
    with pytest.raises(TrainingError, match="keep `rank`"):
        train(tiny_base, tmp_path / "2", parent=parent, rank=8, alpha=16)
    with pytest.raises(TrainingError, match="alpha / rank"):
        train(tiny_base, tmp_path / "3", parent=parent, rank=8)


def test_frozen_weights_are_refused(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_lora = lora.add_lora
    monkeypatch.setattr(
        module.lora, "add_lora", lambda *given: add_lora(*given).requires_grad_(False)
    )
    with pytest.raises(TrainingError, match="no parameter trains"):
        train(tiny_base, tmp_path)


def test_weights_that_stay_as_they_were_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no parameter changed"):
        train(tiny_base, tmp_path, learning_rate=1e-60, steps=1)


def test_a_loss_that_is_no_number_ends_the_round(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="lower learning_rate"):
        train(tiny_base, tmp_path, learning_rate=1e30, max_grad_norm=1e30)


def test_bfloat16_trains_too(tiny_base: Path, tmp_path: Path) -> None:
    made = train(tiny_base, tmp_path, dtype="bfloat16", steps=15)
    assert made.dtype == "bfloat16"
    assert made.losses[-1].loss < 0.8 * made.losses[0].loss
    assert all(tensor.dtype is torch.float32 for tensor in made.tensors.values())


def test_micro_batches_change_the_loss_only_to_rounding(tiny_base: Path, tmp_path: Path) -> None:
    one = train(tiny_base, tmp_path / "1", micro_batch_size=1)
    three = train(tiny_base, tmp_path / "3", micro_batch_size=3)
    assert [r.tokens for r in one.losses] == [r.tokens for r in three.losses]
    assert one.losses[-1].loss == pytest.approx(three.losses[-1].loss, rel=1e-3)


def test_listings_without_any_value_teach_nothing(tiny_base: Path, tmp_path: Path) -> None:
    blank = [type(row)(row.listing, row.attributes, {}) for row in make_rows(2)]
    with pytest.raises(TrainingError, match="no listing of the round has a value"):
        finetune(blank, None, TRAINER, serving(tiny_base), tmp_path)


def test_another_seed_gives_another_adapter(tiny_base: Path, tmp_path: Path) -> None:
    one, same = (train(tiny_base, tmp_path / name, steps=2) for name in ("1", "2"))
    other = train(tiny_base, tmp_path / "3", steps=2, seed=1)
    assert equal(one.tensors, same.tensors)
    assert not equal(one.tensors, other.tensors)


def test_a_parent_of_another_base_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    made = train(tiny_base, tmp_path / "1", steps=1)
    parent = as_adapter(replace(made, base_hash="f" * 64))
    with pytest.raises(TrainingError, match="belongs to the base ffff"):
        train(tiny_base, tmp_path / "2", parent=parent)


@pytest.mark.parametrize(
    "change", [{"join": "always"}, {"gradient_checkpointing": True, "dropout": 0.1}]
)
def test_what_saves_time_or_memory_changes_the_loss_only_to_rounding(
    tiny_base: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    dropout = change.get("dropout", 0.0)
    one = train(tiny_base, tmp_path / "1", steps=3, dropout=dropout)
    other = train(tiny_base, tmp_path / "2", steps=3, **change)
    assert [r.loss for r in other.losses] == pytest.approx([r.loss for r in one.losses], rel=1e-3)


class MemoryFor:
    """Stands for `collate` on a device whose memory suffices for a few listings a pass."""

    def __init__(self, trees: int) -> None:
        self.trees = trees
        self.passes: list[int] = []

    def __call__(self, trees: Sequence[PackedTree]) -> Batch:
        self.passes.append(len(trees))
        if len(trees) > self.trees:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return collate(trees)


def test_out_of_memory_halves_the_pass_and_goes_on_with_the_same_gradient(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tiny_base, tmp_path / "1", steps=2, batch_size=4, micro_batch_size=4)
    memory = MemoryFor(1)
    monkeypatch.setattr(gradient, "collate", memory)
    halved = train(tiny_base, tmp_path / "2", steps=2, batch_size=4, micro_batch_size=4)
    assert memory.passes == [4, 2, 1, 1, 1, 1, 1, 1, 1, 1]
    assert [r.tokens for r in halved.losses] == [r.tokens for r in whole.losses]
    assert halved.losses[1].loss == pytest.approx(whole.losses[1].loss, rel=1e-4)


@pytest.mark.usefixtures("two_cores")
def test_passes_side_by_side_give_what_they_give_one_after_the_other(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side_by_side = train(tiny_base, tmp_path / "1", steps=3, batch_size=4)
    again = train(tiny_base, tmp_path / "2", steps=3, batch_size=4)
    assert torch.get_num_threads() == 2
    assert equal(side_by_side.tensors, again.tensors)
    monkeypatch.setattr(gradient.Gradient, "_add_side_by_side", lambda _, passes, summed: passes)
    alone = train(tiny_base, tmp_path / "3", steps=3, batch_size=4)
    assert [r.loss for r in side_by_side.losses] == pytest.approx([r.loss for r in alone.losses])


@pytest.mark.usefixtures("two_cores")
def test_passes_that_memory_does_not_suffice_for_side_by_side_are_made_alone(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tiny_base, tmp_path / "1", steps=2, batch_size=4, micro_batch_size=2)
    memory = MemoryFor(1)
    monkeypatch.setattr(gradient, "collate", memory)
    alone = train(tiny_base, tmp_path / "2", steps=2, batch_size=4, micro_batch_size=2)
    assert memory.passes == [2, 2, 2, *[1] * 8]
    assert alone.losses[1].loss == pytest.approx(whole.losses[1].loss, rel=1e-4)


def test_no_memory_for_one_listing_ends_the_round(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradient, "collate", MemoryFor(0))
    with pytest.raises(TrainingError, match="switch on gradient_checkpointing"):
        train(tiny_base, tmp_path, micro_batch_size=2)


WORDY = "soup in the evening and tea in the morning, every day of the year, and again and again"


def with_uses(row: Row, text: str) -> Row:
    """`row`, with one value only."""
    return replace(row, values={"uses": [text]})


def test_a_listing_without_room_for_its_value_is_left_out_and_named(
    tiny_base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = serving(tiny_base).model_copy(update={"max_answer_tokens": 200})
    rows = [with_uses(row, "tea") for row in make_rows(3)]
    rows[1] = with_uses(rows[1], f"{WORDY} " * 4)
    attributes = tuple(
        a if a.name != "uses" else a.model_copy(update={"max_length": 400})
        for a in rows[1].attributes
    )
    rows[1] = replace(rows[1], attributes=attributes)
    trainer = TRAINER.model_copy(update={"max_length": 120, "steps": 2})
    made = finetune(rows, None, trainer, settings, tmp_path / "some", lambda _: None)
    assert len(made.losses) == 2
    [warning] = caplog.messages
    assert warning.startswith("left out 1 of 3 listings (l1), which leave no room for a question")
    with pytest.raises(TrainingError, match="the listings of the round leave no room"):
        finetune(rows[1:2], None, trainer, settings, tmp_path / "none", lambda _: None)


def test_values_that_serving_would_cut_off_are_warned_of_once_and_not_trained_on(
    tiny_base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = serving(tiny_base).model_copy(update={"max_answer_tokens": 8})
    rows = make_rows(3)
    values = sum(len(row.filled()) for row in rows)
    long = [replace(row, values=row.values | {"uses": [WORDY[:70]]}) for row in rows]
    short = [replace(row, values=row.values | {"uses": []}) for row in rows]
    made = finetune(long, None, TRAINER, settings, tmp_path / "long")
    assert caplog.messages == [
        f"3 of {values} values are longer than the 8 tokens that an answer may have; they can "
        "never be answered and are not trained on: raise serving.max_answer_tokens"
    ]
    assert equal(made.tensors, finetune(short, None, TRAINER, settings, tmp_path / "b").tensors)


def test_no_room_for_a_question_ends_the_round(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no room for a question"):
        train(tiny_base, tmp_path, max_length=12)
