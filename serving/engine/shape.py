"""The sizes of a base model that its keys and values depend on."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Shape:
    """The sizes that a cache of keys and values has to know."""

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    scale: float
    dtype: torch.dtype
    device: torch.device
