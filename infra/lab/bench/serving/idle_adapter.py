"""Adapters that change nothing: for measuring what one costs, whatever it has learned.

LoRA adds zero to every linear layer, and the projector of one that sees gives rows of zeros, at the
cost of any others. So all listings have the base's answers, and all pictures the same ones.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open

from schemas.events import BASE_ADAPTER
from serving.adapter_file import PREFIX, SUFFIX_A, SUFFIX_B, write_adapter
from serving.base_hash import base_hash
from serving.engine.eyes.projector import fresh
from serving.projector import EYES, PROJECTOR, Sight
from trainer.settings import TrainerSettings

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def idle_adapter(base: Path, adapter_id: str, sight: Sight | None = None) -> bytes:
    """The file of one for the base model in the folder `base`, of the trainer's default rank.

    Another id gives another hash. With `sight` it sees through that encoder.
    """
    settings = TrainerSettings()
    tensors = {}
    for name, (out, inner) in linear_shapes(base).items():
        tensors[f"{PREFIX}{name}{SUFFIX_A}"] = torch.full((settings.rank, inner), inner**-0.5)
        tensors[f"{PREFIX}{name}{SUFFIX_B}"] = torch.zeros(out, settings.rank)
    metadata = {
        "adapter_id": adapter_id,
        "parent_id": BASE_ADAPTER,
        "parent_hash": BASE_ADAPTER,
        "base_hash": base_hash(base),
        "rank": settings.rank,
        "alpha": settings.alpha,
        "peft_config": json.dumps({"peft_type": "LORA", "target_modules": LINEAR}),
    }
    if sight is not None:
        projector = fresh(sight, torch.zeros(1, sight.hidden), seed=0).tensors()
        tensors |= {f"{PROJECTOR}{name}": tensor for name, tensor in projector.items()}
        metadata[EYES] = sight.model_dump_json()
    return write_adapter(tensors, metadata)


def linear_shapes(base: Path) -> dict[str, tuple[int, int]]:
    """(out, in) of the linear layers of a base model's blocks, by name."""
    shapes = {}
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - it is no dictionary
                module = name.removesuffix(".weight")
                if module.endswith(LINEAR):
                    out, inner = weights.get_slice(name).get_shape()
                    shapes[module] = (out, inner)
    return shapes
