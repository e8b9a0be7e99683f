"""An adapter beside the base: y[s] += alpha/r * (x[s] Aᵀ) Bᵀ for each adapter's stretch of rows.

So many adapters answer in one forward pass over one base. The three projections of attention are
one matrix in the decoder, so their A are stacked and their B form a block matrix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch

from serving.adapter_file import AdapterFile
from serving.errors import AdapterError

GROUPS: Mapping[str, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate": ("mlp.gate_proj",),
    "up": ("mlp.up_proj",),
    "down": ("mlp.down_proj",),
}
"""The decoder's matrices, and the modules of a transformers layer that each is made of."""

INTERLEAVED = ("q_proj", "k_proj")
"""Modules whose outputs the decoder keeps interleaved."""

Pair = tuple[torch.Tensor, torch.Tensor]
"""Aᵀ (in, r) and alpha/r * Bᵀ (r, out)."""


@dataclass(frozen=True)
class Lora:
    """An adapter's pairs by (layer, group), in the decoder's number type."""

    adapter_hash: str
    pairs: Mapping[tuple[int, str], Pair]

    @cached_property
    def addresses(self) -> np.ndarray:
        """(layers * groups, 3) Where each pair lies in memory, A and B, and its rank; rank 0 where
        there is none. As many layers as it has pairs in."""
        groups = list(GROUPS)
        layers = 1 + max((layer for layer, _ in self.pairs), default=0)
        found = np.zeros((layers * len(groups), 3), dtype=np.int64)
        for (layer, group), (a, b) in self.pairs.items():
            place = layer * len(groups) + groups.index(group)
            found[place] = a.data_ptr(), b.data_ptr(), a.shape[1]
        return found


@dataclass(frozen=True)
class Segment:
    """Rows `start` to `stop` of a pass go through `lora` as well."""

    start: int
    stop: int
    lora: Lora


class Grouped(Protocol):
    """The adapters of all rows in a form that multiplies them together."""

    def add(self, y: torch.Tensor, x: torch.Tensor, layer: int, group: str) -> torch.Tensor:
        """`y` (rows, out), in place, with the adapters' share of x (rows, in) added."""
        ...


Beside = Sequence[Segment] | Grouped
"""The adapters of a pass."""


def add_lora(
    y: torch.Tensor, x: torch.Tensor, beside: Beside, layer: int, group: str
) -> torch.Tensor:
    """`y` (rows, out), in place, with the adapters' share of x (rows, in) added."""
    if not isinstance(beside, Sequence):
        return beside.add(y, x, layer, group)
    for segment in beside:
        pair = segment.lora.pairs.get((layer, group))
        if pair is not None:
            rows = slice(segment.start, segment.stop)
            y[rows].addmm_(x[rows] @ pair[0], pair[1])
    return y


def interleaved(rows: torch.Tensor, head_size: int) -> torch.Tensor:
    """(heads * head_size, ...) with rows i and i + head_size / 2 of each head side by side."""
    halves = rows.view(-1, 2, head_size // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


@torch.inference_mode()
def load_lora(
    adapter: AdapterFile,
    shapes: Mapping[str, tuple[int, int]],
    head_size: int | None,
    dtype: torch.dtype,
    device: torch.device,
) -> Lora:
    """The pairs of a checked adapter.

    Args:
        adapter: as `serving.adapter_file.check_adapter` has passed it.
        shapes: (out, in) of the base's linear modules by name, as
            `serving.engine.model.linear_shapes` gives them.
        head_size: of the base, where queries and keys are kept interleaved; None where not.
        dtype: the base's.
        device: the base's.

    Raises:
        AdapterError: it changes a module outside the layers' projections.
    """
    tensors = adapter.pairs()
    known = {name: _place(name) for name in shapes}
    strange = sorted(name for name in tensors if known.get(name) is None)
    if strange:
        raise AdapterError(
            f"adapter {adapter.id} changes {strange[0]!r}, which is no layer's projection; "
            "train it on the projections of attention and MLP only"
        )
    groups: dict[tuple[int, str], list[str]] = {}
    for name, place in known.items():
        if place is not None:
            groups.setdefault(place, []).append(name)
    pairs = {
        place: _group_pair(adapter, names, tensors, shapes, head_size, dtype, device)
        for place, names in groups.items()
        if tensors.keys() & set(names)
    }
    return Lora(adapter.hash, pairs)


def _place(name: str) -> tuple[int, str] | None:
    """Layer and group of a linear module; None for one outside the layers."""
    for group, modules in GROUPS.items():
        if ".layers." in name and name.endswith(modules):
            return int(name.split(".layers.")[1].split(".")[0]), group
    return None


def _group_pair(
    adapter: AdapterFile,
    names: list[str],
    tensors: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    shapes: Mapping[str, tuple[int, int]],
    head_size: int | None,
    dtype: torch.dtype,
    device: torch.device,
) -> Pair:
    # In the order in which the decoder stacks their weights.
    names.sort(key=lambda name: [name.endswith(module) for module in GROUPS["qkv"]], reverse=True)
    a = torch.cat([tensors[name][0].float() for name in names if name in tensors])
    b = torch.zeros(sum(shapes[name][0] for name in names), len(a))
    row = column = 0
    for name in names:
        out = shapes[name][0]
        if name in tensors:
            part = tensors[name][1].float() * adapter.scale
            if head_size is not None and name.endswith(INTERLEAVED):
                part = interleaved(part, head_size)
            b[row : row + out, column : column + adapter.rank] = part
            column += adapter.rank
        row += out
    return a.t().contiguous().to(device, dtype), b.t().contiguous().to(device, dtype)
