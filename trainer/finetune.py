"""Fine-tuning: from a parent adapter and listings to a new adapter, in one readable loop.

The base is always pristine; a round loads the parent's A and B only, and starts optimizer and
schedule afresh. Everything random is a function of (seed, step, process), so that a round resumed
from a checkpoint gives the adapter that it would have given uninterrupted.

Runs as one process or under `accelerate launch` in many: each step's listings are dealt out by
rank, and the loss is normalised by the label tokens of the whole step, so that the gradient does
not depend on how many processes share it.
"""

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from peft import PeftModel

from schemas.events import BASE_ADAPTER
from serving.adapters import AdapterFile
from serving.model import Base, load_base, merge
from serving.precision import choose_dtype
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from trainer import lora
from trainer.checkpoint import Checkpoint, LossLog, Saved
from trainer.dataset import Batch, PackedTree, Row, collate, pack
from trainer.errors import TrainingError
from trainer.settings import TrainerSettings

GUARD_TOLERANCE = 1e-4
"""How far, in nats a token, the model about to train may be from its parent (fp32)."""

CHECKPOINT, LOSSES = "checkpoint.pt", "losses.jsonl"

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


def finetune(
    rows: Sequence[Row],
    parent: AdapterFile | None,
    trainer: TrainerSettings,
    serving: ServingSettings,
    folder: Path,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Finetuned:
    """Train `trainer.steps` steps on `rows` from `parent`, or from the base where that is None.

    `serving` names the base model and how a listing is asked, in training as in generation.

    A checkpoint and the losses of all steps are kept in `folder`; called again with equal
    arguments, the training goes on from its last checkpoint.

    Raises:
        TrainingError: no row has a value to learn; the model does not start where its parent
            stands; the loss is not finite; or nothing changed.
    """
    return _Finetuning(rows, parent, trainer, serving, folder).run(on_step)


def learning_rate(step: int, settings: TrainerSettings) -> float:
    """The rate of `step` (from 0): linear warm-up, then linear decay to its final share."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / (settings.warmup_steps + 1)
    way = max(settings.steps - 1 - settings.warmup_steps, 1)
    left = 1 - min((step - settings.warmup_steps) / way, 1)
    share = settings.final_learning_rate + (1 - settings.final_learning_rate) * left
    return settings.learning_rate * share


def draws(rows: int, step: int, settings: TrainerSettings) -> list[tuple[int, int]]:
    """The (epoch, row) pairs of `step`: each epoch takes every row once, in an order of its own."""
    places = range(step * settings.batch_size, (step + 1) * settings.batch_size)
    return [
        (place // rows, _epoch_order(rows, place // rows, settings.seed)[place % rows])
        for place in places
    ]


def draw_tree(
    row: Row, epoch: int, builder: PromptBuilder, settings: TrainerSettings
) -> PackedTree:
    """The tree of `row` in `epoch`: order and split of its questions are drawn by the seed."""
    rng = random.Random(f"pack {settings.seed} {epoch} {row.listing.listing_id}")
    return pack(row, builder, rng, settings.max_length)


def _epoch_order(rows: int, epoch: int, seed: int) -> list[int]:
    order = list(range(rows))
    random.Random(f"order {seed} {epoch}").shuffle(order)
    return order


class _Finetuning:
    """One training, with what its steps share."""

    def __init__(
        self,
        rows: Sequence[Row],
        parent: AdapterFile | None,
        trainer: TrainerSettings,
        serving: ServingSettings,
        folder: Path,
    ) -> None:
        self.rows = [row for row in rows if row.filled()]
        if not self.rows:
            raise TrainingError("no listing of the round has a value; check what sellers submit")
        self.parent = parent
        self.settings = trainer
        self.folder = folder
        if serving.threads:
            torch.set_num_threads(serving.threads)
        # The number type is our own autocast's business, not accelerate's.
        self.accelerator = Accelerator(
            cpu=serving.device == "cpu",
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        )
        self.device = self.accelerator.device
        if trainer.batch_size < self.accelerator.num_processes:
            raise TrainingError("batch_size is below the number of processes; raise it")
        exact = {"dtype": "float32", "device": str(self.device)}
        self.base: Base = load_base(serving.model_copy(update=exact), serving.base_model)
        self.builder = PromptBuilder(self.base.vocabulary, serving)

    def run(self, on_step: Callable[[StepReport], None]) -> Finetuned:
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = Checkpoint(folder / CHECKPOINT, self._fingerprint())
        log = LossLog(folder / LOSSES)
        saved = checkpoint.load(self.device)
        dtype = saved.dtype if saved else self._measure_dtype()

        model = self._start_model()
        if dtype is torch.bfloat16:
            lora.freeze_in_bfloat16(model)
        parameters = [p for p in model.parameters() if p.requires_grad]
        count = sum(p.numel() for p in parameters)
        if count == 0:
            raise TrainingError("no parameter trains: every LoRA weight is frozen; unfreeze them")
        optimizer = torch.optim.AdamW(parameters, weight_decay=0.0)
        before = lora.read_lora(model)

        done = 0
        if saved is not None:
            done = saved.step
            lora.write_lora(model, saved.tensors)
            optimizer.load_state_dict(saved.optimizer)
        main = self.accelerator.is_main_process
        reports = [StepReport(**entry) for entry in log.keep(done)] if main else []
        wrapped, optimizer = self.accelerator.prepare(model, optimizer)
        wrapped.train()
        for step in range(done, self.settings.steps):
            report = self._step(wrapped, optimizer, parameters, step, dtype)
            reports.append(report)
            if main:
                log.append(asdict(report))
                if (step + 1) % self.settings.checkpoint_every == 0:
                    checkpoint.save(
                        Saved(step + 1, dtype, lora.read_lora(model), optimizer.state_dict())
                    )
                on_step(report)
        after = lora.read_lora(model)
        _check_changed(before, after)
        # Whoever comes next in this process needs the memory: accelerate would hold on to it.
        self.accelerator.free_memory()
        return Finetuned(
            tensors=after,
            peft_config=lora.peft_config_text(model),
            trainable_parameters=count,
            dtype=str(dtype).removeprefix("torch."),
            base_hash=self.base.hash,
            losses=reports,
        )

    def _measure_dtype(self) -> torch.dtype:
        config = self.base.model.config.get_text_config()
        shape = (config.hidden_size, getattr(config, "intermediate_size", 4 * config.hidden_size))
        return choose_dtype(self.settings.dtype, self.device, shape, TYPICAL_ROWS)

    def _start_model(self) -> PeftModel:
        """The base with the parent's A and B, made sure to answer as the parent does (fp32)."""
        parent = self.parent
        expected = self._first_loss(merge(self.base.model, parent) if parent else self.base.model)
        model = lora.add_lora(self.base.model, self.settings)
        if parent is not None:
            if parent.scale != self.settings.alpha / self.settings.rank:
                raise TrainingError(
                    "the parent adapter has another alpha / rank; keep `alpha` and `rank` as they "
                    "were, or roll back to `base`"
                )
            lora.write_lora(model, parent.tensors())
        loss = self._first_loss(model.eval())
        # `not <=` also catches a loss that is no number.
        if not abs(loss - expected) <= GUARD_TOLERANCE:
            raise TrainingError(
                f"the model to be trained starts at loss {loss:.5f} where its parent has "
                f"{expected:.5f}; check the parent's file and the base model"
            )
        return model

    @torch.no_grad()
    def _first_loss(self, model: torch.nn.Module) -> float:
        """Nats a token over the first micro batch; a whole step would be slow on a CPU."""
        trees = next(self._micro_batches(self._trees(0)))
        tokens = sum(tree.label_tokens for tree in trees)
        return lora.summed_loss(model, self._batch(trees)).item() / tokens

    def _step(
        self,
        model: torch.nn.Module,
        optimizer: Any,
        parameters: list[torch.nn.Parameter],
        step: int,
        dtype: torch.dtype,
    ) -> StepReport:
        started = time.perf_counter()
        accelerator = self.accelerator
        torch.manual_seed(_seed(self.settings.seed, step, accelerator.process_index))
        trees = self._trees(step)
        mine = torch.tensor(sum(tree.label_tokens for tree in trees), device=self.device)
        tokens = int(accelerator.reduce(mine, "sum").item())
        rate = learning_rate(step, self.settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        summed = torch.zeros((), device=self.device)
        micro_batches = list(self._micro_batches(trees))
        for number, micro in enumerate(micro_batches, start=1):
            last = number == len(micro_batches)
            # Gradients are exchanged once a step, with the last micro batch.
            with nullcontext() if last else accelerator.no_sync(model):
                with torch.autocast(self.device.type, dtype, enabled=dtype is torch.bfloat16):
                    loss = lora.summed_loss(model, self._batch(micro))
                # Processes average their gradients, where a sum over all of them is wanted.
                accelerator.backward(loss * accelerator.num_processes / tokens)
            summed += loss.detach()
        value = float(accelerator.reduce(summed, "sum").item()) / tokens
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss of step {step + 1} is {value}; lower learning_rate or train in float32"
            )
        accelerator.clip_grad_norm_(parameters, self.settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        return StepReport(step + 1, value, rate, tokens, time.perf_counter() - started)

    def _trees(self, step: int) -> list[PackedTree]:
        """This process's share of the step's listings, packed."""
        dealt = draws(len(self.rows), step, self.settings)
        mine = dealt[self.accelerator.process_index :: self.accelerator.num_processes]
        trees = [draw_tree(self.rows[i], epoch, self.builder, self.settings) for epoch, i in mine]
        if not all(tree.label_tokens for tree in trees):
            raise TrainingError(
                "a listing leaves no room for a question; raise max_length or lower "
                "max_trunk_tokens"
            )
        return trees

    def _micro_batches(self, trees: Sequence[PackedTree]) -> Iterator[Sequence[PackedTree]]:
        size = self.settings.micro_batch_size
        return (trees[start : start + size] for start in range(0, len(trees), size))

    def _batch(self, trees: Sequence[PackedTree]) -> Batch:
        return collate(trees, self.base.vocabulary.newline).to(self.device)

    def _fingerprint(self) -> str:
        """What a checkpoint must agree in to be gone on from."""
        not_taught = {"registry_dir", "work_dir", "heldout", "progress", "heartbeat_s"}
        parts = [
            self.settings.model_dump_json(exclude=not_taught),
            self.builder.settings.model_dump_json(include={"batches", "max_trunk_tokens"}),
            self.parent.hash if self.parent else BASE_ADAPTER,
            *(json.dumps([row.listing.listing_id, row.values]) for row in self.rows),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _seed(seed: int, step: int, process: int) -> int:
    digest = hashlib.sha256(f"step {seed} {step} {process}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _check_changed(before: lora.LoraTensors, after: lora.LoraTensors) -> None:
    if all(torch.equal(before[name], tensor) for name, tensor in after.items()):
        raise TrainingError("no parameter changed in training; check that LoRA weights train")
