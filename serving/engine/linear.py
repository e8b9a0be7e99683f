"""A linear layer in the form in which this machine multiplies fastest.

On a CPU the weight is packed once into oneDNN's own layout: a few rows then cost half of what they
cost with the plain weight, and many rows a tenth less. An activation, a product or a sum that
follows is done in the same kernel. Elsewhere it is PyTorch's linear.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from transformers.activations import ACT2FN

SILU = (torch.nn.SiLU, type(ACT2FN["silu"]))
SWISH = "swish"
"""oneDNN's name of silu, the one activation that it is asked to fuse."""

_ONEDNN: Any = torch.ops.mkldnn


def can_pack(weight: torch.Tensor) -> bool:
    """Whether oneDNN's packed layout is to be had for `weight` here."""
    return (
        weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and hasattr(_ONEDNN, "_reorder_linear_weight")
        and hasattr(_ONEDNN, "_linear_pointwise")
    )


class PackedLinear:
    """y = x Wᵀ + b for x (rows, in) and W (out, in), optionally with what follows it fused in."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self._packed = can_pack(weight)
        self._weight = _ONEDNN._reorder_linear_weight(weight, None) if self._packed else weight
        self._bias = bias

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, out)."""
        if self._packed:
            return _ONEDNN._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return functional.linear(x, self._weight, self._bias)

    def activated(
        self, x: torch.Tensor, activation: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """activation(y)."""
        if self._packed and isinstance(activation, SILU):
            return _ONEDNN._linear_pointwise(x, self._weight, self._bias, SWISH, [], "")
        return activation(self(x))

    def times(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """y * other, for other (rows, out)."""
        if self._packed:
            return _ONEDNN._linear_pointwise.binary(x, other, self._weight, self._bias, "mul")
        return self(x) * other

    def plus(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """y + other, for other (rows, out)."""
        if self._packed:
            return _ONEDNN._linear_pointwise.binary(x, other, self._weight, self._bias, "add")
        return self(x) + other
