"""What the tests of this room share: a random adapter, and attributes of every kind."""

import json
from dataclasses import replace

import pytest
import torch

from schemas.category import Attribute, AttributeType
from serving.adapter_file import write_adapter
from serving.listing import Listing

RANK = 4
LAMP = Listing("lamp-1", "Lamps", "Nordhaus desk lamp, dark blue", "A steel lamp of 1.25 kg.")
COLOUR = Attribute(
    name="Colour", type=AttributeType.ENUM, values=("red", "dark blue", "dark green", "blue")
)
WASHABLE = Attribute(name="Washable", type=AttributeType.BOOLEAN)
WEIGHT = Attribute(
    name="Weight", type=AttributeType.NUMBER, units=("kg", "g"), minimum=0, maximum=50
)
SKU = Attribute(name="SKU", type=AttributeType.PATTERN, pattern="^[A-Z]{2}-[0-9]{3}$")
SINCE = Attribute(name="Since", type=AttributeType.DATE)
BRAND = Attribute(name="Brand", type=AttributeType.TEXT, max_length=12)
PORTS = Attribute(
    name="Ports",
    type=AttributeType.ENUM,
    values=("USB", "USB-C", "HDMI"),
    multi_value=True,
    max_values=2,
)
TAGS = Attribute(name="Tags", type=AttributeType.TEXT, max_length=6, multi_value=True, max_values=3)
EVERY_KIND = (COLOUR, WASHABLE, WEIGHT, SKU, SINCE, BRAND, PORTS, TAGS)


def lora_tensors(shapes, seed=0, size=0.5, modules=("q_proj", "v_proj", "down_proj")):
    """Random A and B for the modules of `shapes` that end so; `size` 0 gives a zero delta."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, (out, inner) in shapes.items():
        if name.endswith(modules):
            prefix = f"base_model.model.{name}"
            a = torch.randn(RANK, inner, generator=generator)
            b = torch.randn(out, RANK, generator=generator) * size
            tensors |= {f"{prefix}.lora_A.weight": a, f"{prefix}.lora_B.weight": b}
    return tensors


def metadata(base_hash, adapter_id="default-r1-a1", alpha=8, **changes):
    """The header of an adapter, with `changes`."""
    peft_config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": RANK,
        "lora_alpha": alpha,
        "target_modules": ["q_proj", "v_proj", "down_proj"],
        "bias": "none",
    }
    return {
        "adapter_id": adapter_id,
        "parent_id": "base",
        "parent_hash": "base",
        "base_hash": base_hash,
        "rank": RANK,
        "alpha": alpha,
        "peft_config": json.dumps(peft_config),
        **changes,
    }


def adapter_blob(shapes, base_hash, adapter_id="default-r1-a1", seed=0, size=0.5, **changes):
    """The bytes of a random adapter."""
    tensors = lora_tensors(shapes, seed=seed, size=size)
    return write_adapter(tensors, metadata(base_hash, adapter_id, **changes))


def assert_alike(ours, theirs):
    """The same values, and confidences but for rounding.

    A matrix product rounds by the number of its rows, so by who else is in the pass; and how many
    tokens are guessed, and so computed, depends on them as well.
    """
    costs = {"forward_passes": 0, "tokens_computed": 0, "logits_computed": 0, "seconds": 0}
    assert replace(ours, confidence={}, **costs) == replace(theirs, confidence={}, **costs)
    assert ours.confidence == pytest.approx(theirs.confidence, rel=1e-3)
