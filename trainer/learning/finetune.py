"""Fine-tuning: from a parent adapter and listings to a new adapter, in one readable loop.

The base is always pristine; a round loads what its parent learnt only (`learner`), and starts
optimizer and schedule afresh. Everything random is a function of (seed, step, process), so that a
round resumed from a checkpoint gives the adapter that it would have given uninterrupted.

Runs as one process or under `accelerate launch` in many: each step's listings are dealt out by
rank, and the loss is normalised by the label tokens of the whole step (by their weights, where
those of accepted values weigh less), so that the gradient does not depend on how many processes
share it. The first process says where all of them start.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from schemas.events import BASE_ADAPTER
from serving.adapter_file import AdapterFile
from serving.engine.eyes.features import Features
from serving.engine.model import Base, load_base, merge
from serving.engine.precision import choose_dtype
from serving.pictures.picture import Picture
from serving.projector import Sight
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings, fields_that_change
from trainer.data.dataset import Row
from trainer.errors import TrainingError
from trainer.learning import lora
from trainer.learning.checkpoint import Checkpoint, LossLog, Saved
from trainer.learning.gradient import Gradient
from trainer.learning.learner import Learner, parent_projector, start
from trainer.learning.packing import PackedTree, collate, join, without_pictures
from trainer.learning.schedule import INVISIBLE, draw_tree, draws, learning_rate, picture_bias
from trainer.learning.teachable import taught_by, teachable
from trainer.learning.tree_loss import SummedLoss
from trainer.settings import TrainerSettings

GUARD_TOLERANCE = 1e-4
"""How far, in nats a token, the model about to train may be from its parent (fp32)."""

CHECKPOINT, LOSSES = "checkpoint.pt", "losses.jsonl"

PicturesOf = Callable[[Row], Sequence[Picture]]
"""The pictures of a listing, in its order, as they were seen."""

TYPICAL_ROWS = 512
"""Tokens of a packed listing: the number type is measured on products of this size."""


@dataclass(frozen=True)
class StepReport:
    """What is told after each step: to the progress bar, and to the log for the loss figure."""

    step: int  # steps done, from 1
    loss: float  # nats a label token
    lr: float
    tokens: int  # label tokens of the step, over all processes
    seconds: float


@dataclass(frozen=True)
class Finetuned:
    """A new adapter's tensors and how they came about."""

    tensors: lora.LoraTensors
    peft_config: str
    trainable_parameters: int
    dtype: str
    base_hash: str
    losses: list[StepReport]
    sight: Sight | None = None  # of the projector among the tensors


def finetune(
    rows: Sequence[Row],
    parent: AdapterFile | None,
    trainer: TrainerSettings,
    serving: ServingSettings,
    folder: Path,
    on_step: Callable[[StepReport], None] = lambda report: None,
    pictures: PicturesOf = lambda row: (),
) -> Finetuned:
    """Train `trainer.steps` steps on `rows` from `parent`, or from the base where that is None.

    `serving` names the base model and how a listing is asked, in training as in generation;
    `pictures` gives what was seen of a listing.

    A checkpoint and the losses of all steps are kept in `folder`; called again with equal
    arguments, the training goes on from its last checkpoint.

    Raises:
        TrainingError: no row has a value to learn, or room for one; the parent belongs to another
            base or encoder, or the model does not start where it stands; memory does not suffice
            for one listing; the loss is not finite; or nothing changed.
    """
    return _Finetuning(rows, parent, trainer, serving, folder, pictures).run(on_step)


class _Finetuning:
    """One training, with what its steps share."""

    def __init__(
        self,
        rows: Sequence[Row],
        parent: AdapterFile | None,
        trainer: TrainerSettings,
        serving: ServingSettings,
        folder: Path,
        pictures: PicturesOf,
    ) -> None:
        self.parent = parent
        self.settings = trainer
        self.folder = folder
        self.pictures = pictures
        if serving.threads:
            torch.set_num_threads(serving.threads)
        # The number type is our own autocast's business, not accelerate's.
        self.accelerator = Accelerator(cpu=serving.device == "cpu")
        self.device = self.accelerator.device
        if trainer.batch_size < self.accelerator.num_processes:
            raise TrainingError("batch_size is below the number of processes; raise it")
        exact = {"dtype": "float32", "device": str(self.device)}
        self.base: Base = load_base(serving.model_copy(update=exact), serving.base_model)
        self.builder = PromptBuilder(self.base.vocabulary, serving)
        self.rows = teachable(rows, self.builder, trainer, self.accelerator.is_main_process)

    def run(self, on_step: Callable[[StepReport], None]) -> Finetuned:
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = Checkpoint(folder / CHECKPOINT, self._fingerprint())
        log = LossLog(folder / LOSSES)
        learner = self._start()
        model, parameters = learner.model, learner.parameters()
        count = sum(p.numel() for p in parameters)
        if count == 0:
            raise TrainingError("no parameter trains: every LoRA weight is frozen; unfreeze them")
        optimizer = torch.optim.AdamW(parameters, weight_decay=0.0)
        before = learner.read()

        main = self.accelerator.is_main_process
        place: Saved | None = None
        if main:
            place = checkpoint.load() or Saved(
                0, self._measure_dtype(), before, optimizer.state_dict()
            )
        # What was measured or read in one process need not be the same in another.
        [place] = broadcast_object_list([place])
        assert place is not None
        learner.write(place.tensors)
        optimizer.load_state_dict(place.optimizer)
        if place.dtype is torch.bfloat16:
            lora.freeze_in_bfloat16(model)
        reports = [StepReport(**entry) for entry in log.keep(place.step)] if main else []
        loss = SummedLoss(model, learner.projector).train()
        gradient = Gradient(loss, parameters, place.dtype, self.accelerator, self._at_once())
        for step in range(place.step, self.settings.steps):
            if learner.fades_in:
                loss.picture_bias = picture_bias(step, self.settings.steps)
            report = self._step(gradient, optimizer, parameters, step)
            reports.append(report)
            if main:
                log.append(asdict(report))
                if (step + 1) % self.settings.checkpoint_every == 0:
                    checkpoint.save(
                        Saved(step + 1, place.dtype, learner.read(), optimizer.state_dict())
                    )
                on_step(report)
        after = learner.read()
        _check_changed(before, after)
        return Finetuned(
            tensors=after,
            peft_config=lora.peft_config_text(model),
            trainable_parameters=count,
            dtype=str(place.dtype).removeprefix("torch."),
            base_hash=self.base.hash,
            losses=reports,
            sight=learner.sight,
        )

    def _measure_dtype(self) -> torch.dtype:
        config = self.base.model.config.get_text_config()
        shape = (config.hidden_size, getattr(config, "intermediate_size", 4 * config.hidden_size))
        return choose_dtype(self.settings.dtype, self.device, shape, TYPICAL_ROWS)

    def _at_once(self) -> int:
        """How many passes are made side by side: on a CPU as many as there are cores."""
        if self.device.type != "cpu" or self.settings.dropout:
            return 1  # a GPU is busy with one; dropout in several threads cannot be repeated
        return torch.get_num_threads()

    def _start(self) -> Learner:
        """What trains, made sure to answer as the parent does (fp32)."""
        parent = self.parent
        if parent is not None and parent.base_hash != self.base.hash:
            raise TrainingError(
                f"the parent adapter belongs to the base {parent.base_hash[:12]}, this one is "
                f"{self.base.hash[:12]}; set base_model as it was, or roll back to `base`"
            )
        plain = merge(self.base.model, parent) if parent else self.base.model
        sees = parent_projector(self.base, parent)
        blind = self.base.sight is not None and sees is None
        expected = self._first_loss(SummedLoss(plain, sees), blind)
        pictured = any(self.pictures(row) for row in self.rows)
        learner = start(self.base, parent, self.settings, pictured)
        bias = INVISIBLE if learner.fades_in else 0.0
        loss = self._first_loss(SummedLoss(learner.model.eval(), learner.projector, bias))
        # `not <=` also catches a loss that is no number.
        if not abs(loss - expected) <= GUARD_TOLERANCE:
            raise TrainingError(
                f"the model to be trained starts at loss {loss:.5f} where its parent has "
                f"{expected:.5f}; check the parent's file and the base model"
            )
        if self.settings.gradient_checkpointing:
            self.base.model.gradient_checkpointing_enable({"use_reentrant": False})
        return learner

    @torch.no_grad()
    def _first_loss(self, loss: SummedLoss, blind: bool = False) -> float:
        """Nats a token over the first listing, one with pictures if the first step has one; a whole
        step would be slow on a CPU. `blind` reads it without its pictures."""
        trees = [tree for tree in self._trees(0) if tree.label_tokens]
        tree = next((tree for tree in trees if tree.pictures), trees[0])
        batch = collate([without_pictures(tree) if blind else tree]).to(self.device)
        return float(loss(batch).item()) / tree.label_tokens

    def _step(
        self,
        gradient: Gradient,
        optimizer: torch.optim.Optimizer,
        parameters: list[torch.nn.Parameter],
        step: int,
    ) -> StepReport:
        started = time.perf_counter()
        torch.manual_seed(_seed(self.settings.seed, step, self.accelerator.process_index))
        trees = self._trees(step)
        tokens = self._label_tokens(trees)
        weight = self._label_weight(trees, tokens)
        rate = learning_rate(step, self.settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        value = gradient(self._micro_batches(trees)).item() / weight
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss of step {step + 1} is {value}; lower learning_rate or train in float32"
            )
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad /= weight
        torch.nn.utils.clip_grad_norm_(parameters, self.settings.max_grad_norm)
        optimizer.step()
        return StepReport(step + 1, value, rate, tokens, time.perf_counter() - started)

    def _trees(self, step: int) -> list[PackedTree]:
        """This process's share of the step's listings, packed, with what is seen of pictures."""
        dealt = draws(len(self.rows), step, self.settings)
        mine = dealt[self.accelerator.process_index :: self.accelerator.num_processes]
        builder, settings = self.builder, self.settings
        return [
            draw_tree(self.rows[i], epoch, builder, settings, self._seen(self.rows[i]))
            for epoch, i in mine
        ]

    def _seen(self, row: Row) -> list[Features]:
        """What the base's eyes make of the listing's pictures."""
        return self.base.eyes.see(self.pictures(row)) if self.base.eyes else []

    def _label_tokens(self, trees: Sequence[PackedTree]) -> int:
        """The label tokens of the step, over all processes."""
        mine = torch.tensor([sum(tree.label_tokens for tree in trees)], device=self.device)
        return int(self.accelerator.reduce(mine, "sum").item())

    def _label_weight(self, trees: Sequence[PackedTree], tokens: int) -> float:
        """What the label tokens of the step weigh, over all processes; 1 each but for accepted."""
        if self.settings.weight_accepted == 1:
            return tokens
        mine = torch.tensor([sum(sum(t.label_weights()) for t in trees)], device=self.device)
        return float(self.accelerator.reduce(mine, "sum").item())

    def _micro_batches(self, trees: Sequence[PackedTree]) -> list[list[PackedTree]]:
        """The trees in rows of one or, joined, of several; `micro_batch_size` rows at a time."""
        settings = self.settings
        joining = settings.join == "always" or (
            settings.join == "auto" and self.device.type == "cuda"
        )
        rows = join(trees, settings.max_length) if joining else [[tree] for tree in trees]
        size = settings.micro_batch_size
        starts = range(0, len(rows), size)
        return [[tree for row in rows[at : at + size] for tree in row] for at in starts]

    def _fingerprint(self) -> str:
        """What a checkpoint must agree in to be gone on from."""
        parts = [
            self.settings.model_dump_json(include=fields_that_change(TrainerSettings, "training")),
            self.builder.settings.model_dump_json(
                include=fields_that_change(ServingSettings, "training")
            ),
            self.base.hash,
            *([self.base.sight.model_dump_json()] if self.base.sight else []),
            self.parent.hash if self.parent else BASE_ADAPTER,
            *(json.dumps(taught_by(row, self.settings)) for row in self.rows),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _seed(seed: int, step: int, process: int) -> int:
    digest = hashlib.sha256(f"step {seed} {step} {process}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _check_changed(before: lora.LoraTensors, after: lora.LoraTensors) -> None:
    if all(torch.equal(before[name], tensor) for name, tensor in after.items()):
        raise TrainingError("no parameter changed in training; check that LoRA weights train")
