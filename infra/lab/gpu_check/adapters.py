"""Adapters that need not travel: the same bytes from the same number on every machine.

NumPy promises that the numbers of a `RandomState` never change; torch promises nothing of the kind.
"""

import json
from collections.abc import Mapping

import numpy as np
import torch

from schemas.events import BASE_ADAPTER
from serving.adapter_file import PREFIX, SUFFIX_A, SUFFIX_B, write_adapter

SPREAD = 0.02
"""Of the numbers in A and B: of rank 32 they change SmolLM2's weights by some per cent, so that
answers differ from the base's and are still answers."""

DRAWN = 1_000_003
"""So many numbers are drawn, a prime; every tensor is a stretch of them from a place of its own."""


def random_adapter(
    shapes: Mapping[str, tuple[int, int]], base_hash: str, number: int, rank: int
) -> bytes:
    """The file of adapter `number` on all projections of the layers.

    Args:
        shapes: (out, in) of the base's linear modules, as `serving.engine.model.linear_shapes`.
        base_hash: the base that it belongs to.
        number: which one; others have other bytes.
        rank: LoRA's, and its alpha.
    """
    drawn = np.random.RandomState(number).standard_normal(DRAWN).astype(np.float32) * SPREAD
    tensors = {}
    place = 0
    for name, (out, inner) in sorted(shapes.items()):
        if ".layers." not in name:
            continue  # the head is never adapted
        for suffix, shape in ((SUFFIX_A, (rank, inner)), (SUFFIX_B, (out, rank))):
            count = shape[0] * shape[1]
            stretch = np.resize(np.roll(drawn, -place), count).reshape(shape)
            tensors[PREFIX + name + suffix] = torch.from_numpy(stretch)
            place = (place + count) % DRAWN
    targets = sorted({name.rsplit(".", 1)[1] for name in shapes if ".layers." in name})
    header = {
        "adapter_id": f"gpu-check-{number}",
        "parent_id": BASE_ADAPTER,
        "parent_hash": BASE_ADAPTER,
        "base_hash": base_hash,
        "rank": rank,
        "alpha": rank,
        "peft_config": json.dumps(
            {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": targets}
        ),
    }
    return write_adapter(tensors, header)
