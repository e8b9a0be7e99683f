"""What the CPU computes beforehand and the GPU again: answers' token ids, and a loss curve.

Both machines run these very functions, on the same files.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.lab.bench.serving.workload import ListingPlan, Workload
from infra.lab.gpu_check.adapters import random_adapter
from infra.lab.gpu_check.place import BATCHES, ROWS, WORKLOAD, Place
from schemas.events import Mode
from serving.adapter_file import read_adapter
from serving.engine.backend import Adapter, AnyBackend
from serving.engine.branch import Answer
from serving.engine.decoding import Tree, step
from serving.engine.model import Base, linear_shapes, load_base
from serving.engine.preparing import Preparer
from serving.engine.torch_backend import TorchBackend
from serving.generation import GenerationRequest
from serving.settings import ServingSettings
from trainer.data.dataset import read_heldout
from trainer.learning.finetune import finetune
from trainer.settings import TrainerSettings

BESIDE = ("base", "adapters")
"""Who answers what is compared: the base; or the base and two adapters in turn, in one pass."""

COMPARED_ADAPTERS = 2
LEARNING_RATE = 3e-4
"""At which a small model's loss moves in a few steps."""


@dataclass(frozen=True)
class Answered:
    """The answer to one question."""

    ids: list[int]
    confidence: float


Listed = list[dict[str, Answered]]
"""Of each listing, by attribute."""


@dataclass(frozen=True)
class Reference:
    """What one CPU in fp32 computed, of the base with this hash out of the wheel with this one.

    answers: by `arm_name`. losses: nats a label token, of each step. amounts: what a training step
    computes, in tokens: of the packed trees, of the examples, and of the labels.
    """

    commit: str
    size: str
    base_hash: str
    torch: str
    wheel_sha256: str = ""
    answers: dict[str, Listed] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    amounts: dict[str, float] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Keep it among the parts."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Reference":
        """What `write` kept."""
        content = json.loads(path.read_text(encoding="utf-8"))
        content["answers"] = {
            arm: [{name: Answered(**a) for name, a in one.items()} for one in listings]
            for arm, listings in content["answers"].items()
        }
        return cls(**content)


def arm_name(mode: Mode, beside: str) -> str:
    """Of answers that are compared: the mode, and who answers."""
    return f"{mode.value} {beside}"


def serving_settings(place: Place, dtype: str) -> ServingSettings:
    """The engine's, on the place's device."""
    return ServingSettings(
        base_model=place.base,
        dtype=dtype,
        device=place.device,
        max_adapters=place.sizes.adapters,
        adapter_store=place.made("adapters"),
    )


def all_answers(place: Place, dtype: str) -> dict[str, Listed]:
    """The answers to the compared listings in each mode, by the base and with adapters."""
    settings = serving_settings(place, dtype)
    base = load_base(settings, place.base)
    shapes = linear_shapes(base.model)
    backend = TorchBackend(base.decoder, passes=base.passes)
    loras: list[Adapter | None] = [None]
    for number in range(COMPARED_ADAPTERS):
        blob = random_adapter(shapes, base.hash, number, place.sizes.rank)
        loras.append(backend.take(read_adapter(blob), shapes))
    plans = Workload.read(place.part(WORKLOAD)).plans[: place.sizes.compared]
    of_who: dict[str, list[Adapter | None]] = {BESIDE[0]: [None], BESIDE[1]: loras}
    return {
        arm_name(mode, beside): _listed(
            answers(base, backend, settings, plans, mode, of_who[beside])
        )
        for mode in Mode
        for beside in BESIDE
    }


def answers(
    base: Base,
    backend: AnyBackend,
    settings: ServingSettings,
    plans: Sequence[ListingPlan],
    mode: Mode,
    loras: Sequence[Adapter | None],
) -> list[dict[str, Answer]]:
    """The answers to `plans`, decoded side by side, the listings dealt to `loras` in turn."""
    preparer = Preparer(base, settings)
    asked: list[Tree] = []
    for number, plan in enumerate(plans):
        listing, attributes = plan.question()
        request = GenerationRequest(listing, attributes, mode)
        asked.append(preparer.prepare(request, loras[number % len(loras)]).tree)
    # An adapter's side by side, as the engine has them.
    trees = sorted(asked, key=lambda tree: id(tree.lora))
    while unfinished := [tree for tree in trees if not tree.done]:
        step(backend, unfinished)
    return [tree.decoded.answers for tree in asked]


def loss_curve(place: Place) -> list[float]:
    """The losses of a few steps in fp32, from an adapter that both machines can draw."""
    sizes = place.sizes
    serving = serving_settings(place, "float32").model_copy(update={"batches": BATCHES})
    base = load_base(serving, place.base)
    blob = random_adapter(linear_shapes(base.model), base.hash, 0, sizes.rank)
    del base
    trainer = TrainerSettings(
        rank=sizes.rank,
        alpha=sizes.rank,
        learning_rate=LEARNING_RATE,
        warmup_steps=0,
        steps=sizes.loss_steps,
        batch_size=sizes.loss_listings,
        checkpoint_every=sizes.loss_steps + 1,
        dtype="float32",
    )
    folder = place.made(f"losses-{place.device}")
    made = finetune(read_heldout(place.part(ROWS)), read_adapter(blob), trainer, serving, folder)
    return [report.loss for report in made.losses]


def _listed(answered: Sequence[dict[str, Answer]]) -> Listed:
    return [
        {name: Answered(list(a.ids), a.confidence) for name, a in one.items()} for one in answered
    ]
