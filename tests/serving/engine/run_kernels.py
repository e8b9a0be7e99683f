"""Compares the kernel with PyTorch's tree attention on random passes; for a process of its own.

Triton decides when it is imported whether its interpreter runs kernels. Prints a line for each
case: how far the results differ, relative to their length. Then how a whole decoder attends.
"""

import os

os.environ["TRITON_INTERPRET"] = "1"

import random
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from serving.engine.decoder import Decoder
from serving.engine.kernel_choice import own_kernels
from serving.engine.lora import GROUPS, Lora, Segment, add_lora
from serving.engine.lora_kernel import GroupedLora
from serving.engine.pages import PAGE, Pages
from serving.engine.shape import Shape
from serving.engine.tree_attention import Attention, Chunk, grouped
from serving.engine.tree_cache import trunk_chunks
from serving.engine.tree_kernel import KernelAttention

SHAPES = ((4, 2, 16), (9, 3, 64), (6, 6, 24), (8, 1, 32))
"""Query heads, kv heads, head size."""


def random_pass(pages: Pages, rng: random.Random) -> tuple[list[tuple[int, int]], list[Chunk]]:
    """Where each row is kept, and who attends to what: new trunks, and branches of older ones."""
    written: list[tuple[int, int]] = []
    chunks: list[Chunk] = []
    for tree in range(3):
        tokens = rng.randint(1, 5 * PAGE)
        trunk = pages.take(-(-tokens // PAGE))
        if tree == 0:
            chunks += trunk_chunks(trunk, tokens, len(written))
            written += [(trunk[t // PAGE], t % PAGE) for t in range(tokens)]
        branches, slots, counts, rows = [], [], [], []
        for _ in range(rng.randint(1, 4)):
            slot, count = rng.randint(0, 2 * PAGE), rng.choice((1, 1, 2, 7, 19))
            own = pages.take(-(-(slot + count) // PAGE) + rng.randint(0, 1))
            rows.append(len(written))
            written += [(own[s // PAGE], s % PAGE) for s in range(slot, slot + count)]
            branches.append(own)
            slots.append(slot)
            counts.append(count)
        chunks.append(Chunk(tokens, trunk, branches, slots, counts, rows))
    return written, chunks


def difference(shape: tuple[int, int, int], dtype: torch.dtype, seed: int) -> float:
    """Of the kernel's results from PyTorch's in fp32."""
    heads, kv_heads, size = shape
    torch.manual_seed(seed)
    made = []
    for number_type in (torch.float32, dtype):
        pages = Pages(Shape(1, heads, kv_heads, size, size**-0.5, number_type, torch.device("cpu")))
        written, chunks = random_pass(pages, random.Random(seed))
        made.append((pages, written, chunks))
    qkv = torch.randn(len(made[0][1]), heads + 2 * kv_heads, size).to(dtype)
    held = torch.randn_like(made[0][0].of_layer(0)).to(dtype)  # what earlier passes have kept
    for pages, _, _ in made:
        pages.of_layer(0).copy_(held)
    (exact, written, chunks), (own, *_) = made
    expected = Attention(exact, written, grouped(chunks))(0, qkv.float())
    given = KernelAttention(own, written, chunks)(0, qkv).float()
    return float((given - expected).norm() / expected.norm())


def whole() -> Any:
    """What is chosen for a tiny model, whose logits with the kernel are compared."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    return own_kernels(Decoder(model), model)


SIZES = {"qkv": (48, 80), "out": (48, 48), "gate": (48, 100), "up": (48, 100), "down": (100, 48)}
"""In and out of each group."""


def adapters_differ(dtype: torch.dtype) -> float:
    """What adapters add, by the kernels, from what PyTorch adds in fp32: the greatest difference.

    They have other ranks, other groups, and stretches with rows of none between them.
    """
    torch.manual_seed(0)
    made = []
    for rank, groups, start, stop in (
        (4, list(GROUPS), 2, 5),
        (20, ["qkv", "down"], 5, 40),
        (33, ["qkv"], 41, 60),
    ):
        pairs = {
            (layer, group): (
                torch.randn(SIZES[group][0], rank) / 8,
                torch.randn(rank, SIZES[group][1]) / 8,
            )
            for layer in range(2)
            for group in groups
        }
        made.append((start, stop, pairs))

    def segments(number_type: torch.dtype) -> list[Segment]:
        def typed(pairs: dict[Any, Any]) -> Lora:
            return Lora(
                "", {key: (a.to(number_type), b.to(number_type)) for key, (a, b) in pairs.items()}
            )

        return [Segment(start, stop, typed(pairs)) for start, stop, pairs in made]

    exact, own = segments(torch.float32), segments(dtype)
    kernel = GroupedLora(own, 2, torch.device("cpu"))
    differences = []
    for layer in range(2):
        for group, (inner, outer) in SIZES.items():
            x, y = torch.randn(64, inner).to(dtype), torch.randn(64, outer).to(dtype)
            expected = add_lora(y.clone().float(), x.float(), exact, layer, group)
            given = add_lora(y.clone(), x, kernel, layer, group).float()
            differences.append(float((given - expected).norm() / expected.norm()))
    return max(differences)


if __name__ == "__main__":
    # The interpreter multiplies bf16 as if it were integers, so fp16 stands for half precision.
    for shape in SHAPES:
        for dtype in (torch.float32, torch.float16):
            for seed in range(2):
                print(*shape, str(dtype).removeprefix("torch."), difference(shape, dtype, seed))
    for dtype in (torch.float32, torch.float16):
        print("adapters", str(dtype).removeprefix("torch."), adapters_differ(dtype))
    print(whole().attending.__name__)
