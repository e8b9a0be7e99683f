"""What trains: LoRA in the base and, where pictures are seen through an encoder, a projector.

Both are one set of tensors, by their names in the adapter file: what a checkpoint keeps, what a
round hands on and what its child starts from. A round none of whose listings has a picture trains
no projector and hands on its parent's as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from peft import PeftModel

from serving.adapter_file import AdapterFile, lora_tensors, projector_tensors
from serving.engine.eyes.projector import Projector, fresh, loaded
from serving.engine.model import Base
from serving.projector import PROJECTOR, Sight
from trainer.errors import TrainingError
from trainer.learning import lora
from trainer.settings import TrainerSettings


@dataclass(frozen=True)
class Learner:
    """A model and what of it trains."""

    model: PeftModel
    projector: Projector | None = None
    fades_in: bool = False
    """Whether the parent did not see, so that pictures come into sight little by little."""
    handed_on: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """The parent's projector where none trains, by its names in the file."""
    sight: Sight | None = None
    """What either projector sees through; None where there is neither."""

    def parameters(self) -> list[torch.nn.Parameter]:
        """All that trains, always in the same order."""
        of_model = [p for p in self.model.parameters() if p.requires_grad]
        return of_model + (list(self.projector.parameters()) if self.projector else [])

    def read(self) -> dict[str, torch.Tensor]:
        """A copy of the adapter's tensors, fp32, on the CPU."""
        seen = self.projector.tensors() if self.projector else {}
        named = {PROJECTOR + name: tensor for name, tensor in seen.items()}
        return {**lora.read_lora(self.model), **named, **self.handed_on}

    def write(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Replace what trains by those of `tensors`.

        Raises:
            TrainingError: LoRA's are of another rank or another model.
        """
        lora.write_lora(self.model, lora_tensors(tensors))
        if self.projector is not None:
            self.projector.load_state_dict(projector_tensors(tensors))


def start(
    base: Base, parent: AdapterFile | None, settings: TrainerSettings, pictures: bool
) -> Learner:
    """The pristine base with the parent's weights, or with fresh ones that change nothing.

    Args:
        base: gets LoRA put into it.
        parent: whose A, B and projector it begins with.
        settings: LoRA's rank and alpha, and the seed of fresh weights.
        pictures: whether the round's listings have any.

    Raises:
        TrainingError: the parent has another rank or alpha, or sees through another encoder.
    """
    projector = _projector(base, parent, settings.seed) if pictures else None
    model = lora.add_lora(base.model, settings)
    if parent is None:
        sight = projector.sight if projector else None
        return Learner(model, projector, fades_in=projector is not None, sight=sight)
    if parent.scale != settings.alpha / settings.rank:
        raise TrainingError(
            "the parent adapter has another alpha / rank; keep `alpha` and `rank` as they "
            "were, or roll back to `base`"
        )
    lora.write_lora(model, lora_tensors(parent.tensors()))
    if projector is not None:
        return Learner(model, projector, parent.sight is None, sight=projector.sight)
    own = {PROJECTOR + name: tensor for name, tensor in parent.projector().items()}
    return Learner(model, handed_on=own, sight=parent.sight)


def parent_projector(base: Base, parent: AdapterFile | None) -> Projector | None:
    """The parent's, where it has one and `base` has its encoder."""
    if parent is None or parent.sight is None or parent.sight != base.sight:
        return None
    return loaded(parent.sight, parent.projector()).to(base.device)


def _projector(base: Base, parent: AdapterFile | None, seed: int) -> Projector | None:
    """The one that trains: the parent's, or a fresh one."""
    if base.sight is None:
        return None
    if parent is not None and parent.sight not in (None, base.sight):
        assert parent.sight is not None
        raise TrainingError(
            f"the parent adapter sees through the encoder {parent.sight.told}, here is "
            f"{base.sight.told}; set serving.encoder as it was, or roll back to an adapter that "
            "does not see"
        )
    embeddings = base.model.get_input_embeddings().weight
    own = parent_projector(base, parent) or fresh(base.sight, embeddings, seed)
    return own.to(base.device)
