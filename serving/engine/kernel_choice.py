"""Whether passes are computed by kernels of our own: on a GPU, if they are right there."""

import logging
from typing import Any

import torch

from serving.engine.decoder import Decoder
from serving.engine.decoder_check import CHECK_TOLERANCE, check
from serving.engine.lora import Lora, Segment, add_lora
from serving.engine.shape import Shape
from serving.engine.torch_backend import TorchBackend
from serving.engine.tree_cache import PYTORCH, Kernels
from serving.errors import ModelRefused

logger = logging.getLogger(__name__)

CHECKED_TOKENS = 200
"""Half of them a trunk, half a branch: several pages of each, and several programs a branch."""

CHECKED_ADAPTERS = ((3, 8), (40, 32), (1, 20))
"""Rows and rank of each: fewer rows than a program has and more, ranks of all kinds."""


def choose_kernels(decoder: Decoder, model: Any) -> Kernels:
    """What passes of `decoder`, whose weights are those of `model`, are computed by."""
    return own_kernels(decoder, model) if decoder.shape.device.type == "cuda" else PYTORCH


def own_kernels(decoder: Decoder, model: Any) -> Kernels:
    """Ours, if the logits with them are the model's; else PyTorch's, and a sentence why."""
    try:
        from serving.engine import lora_kernel, tree_kernel

        kernels = Kernels(tree_kernel.KernelAttention, lora_kernel.beside)
        check(TorchBackend(decoder, kernels=kernels), model, tokens=CHECKED_TOKENS)
        for beside in (1, 3):  # three modules' A lie side by side in qkv
            check_adapters(kernels, decoder.shape, beside)
    except Exception as error:  # a compiler's, a driver's, or that they are wrong
        logger.warning("passes by PyTorch's operations, and not by kernels of our own: %s", error)
        return PYTORCH
    logger.info("passes by kernels of our own")
    return kernels


@torch.inference_mode()
def check_adapters(kernels: Kernels, shape: Shape, modules: int = 1) -> None:
    """Compare the share of several random adapters with what PyTorch's products give.

    `modules` of each are multiplied at once. The kernels are compiled for their usual ranks here,
    and not while somebody waits for an answer.

    Raises:
        ModelRefused: they differ by more than rounding.
    """
    generator = torch.Generator().manual_seed(0)

    def random(*size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator).to(shape.device, shape.dtype)

    inner, group = shape.heads * shape.head_size, "out"
    segments, start = [], 1
    for rows, of_module in CHECKED_ADAPTERS:
        rank = modules * of_module
        pair = (random(inner, rank) / inner**0.5, random(rank, 2 * inner))
        segments.append(Segment(start, start + rows, Lora(str(rank), {(0, group): pair})))
        start += rows
    x = random(start + 1, inner)
    nothing = torch.zeros(start + 1, 2 * inner, dtype=shape.dtype, device=shape.device)
    ours = add_lora(nothing.clone(), x, kernels.beside(segments, shape), 0, group).float()
    theirs = add_lora(nothing, x, segments, 0, group).float()
    error = float((ours - theirs).norm() / theirs.norm())
    if not error < CHECK_TOLERANCE[shape.dtype]:
        raise ModelRefused(f"adapters by the kernel differ by {error:.1%}")
