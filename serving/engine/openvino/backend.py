"""Passes by graphs that OpenVINO compiles: see `serving.engine.backend.Backend`.

They take from the model what stays in PyTorch (embeddings, rotary positions); the rest of the
model's weights are not needed any more once the first graph is made.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch.nn import functional

from schemas.events import BASE_ADAPTER
from serving.adapter_file import AdapterFile
from serving.engine.lora import Lora, load_lora
from serving.engine.merged_decoders import MergedDecoders
from serving.engine.openvino.blocks import FIRST_BLOCKS, Blocks
from serving.engine.openvino.compiled import Compiled
from serving.engine.openvino.graph import KINDS, PAGING, Place
from serving.engine.openvino.making import Making
from serving.engine.openvino.trees import BlockLora, BlockPass, BlockTree, Infer, Rows
from serving.engine.seen import joined
from serving.errors import UnknownAdapter
from serving.prompt import Trunk

DRAFT_ROWS = 16
"""A row more costs little as far as here; with 24 a listing took 3 % longer (docs/engine.md)."""
CPU = torch.device("cpu")


def nowhere(adapter_hash: str) -> Lora:
    """Where no adapters are kept to be merged."""
    raise UnknownAdapter(f"adapter {adapter_hash[:12]} is not here; push it first")


class OpenVinoBackend:
    """See `serving.engine.backend.Backend`."""

    name = "openvino"
    overlaps = False

    def __init__(
        self,
        model: Any,
        folder: Path | None = None,
        first: int = FIRST_BLOCKS,
        lora: Callable[[str], Lora] = nowhere,
        max_merged: int = 0,
    ) -> None:
        """Compile the transformers model `model`, whose layers' weights can go then.

        Args:
            model: the base.
            folder: where its weights lie, as `serving.engine.openvino.weights` says.
            first: blocks to begin with.
            lora: the adapter of a hash in fp32, to be merged.
            max_merged: graphs kept of one adapter or of the base alone; 0 for no other than the
                base's ever.

        Raises:
            Unsuited: the graph cannot express it, OpenVINO does not compile it here, or `folder`
                cannot be written.
        """
        self.draft_rows = DRAFT_ROWS
        self._dtype = model.dtype
        self._making = making = Making(model, folder, lora)
        self.merged = MergedDecoders(
            making.merged, max_merged, {BASE_ADAPTER: making.merged(BASE_ADAPTER)}
        )
        self._embedding = model.get_input_embeddings().weight
        self._turns = Turns(model.get_decoder().rotary_emb)
        self._places: Mapping[tuple[int, str], Place] = {
            (place.layer, place.group): place for place in making.places
        }
        self._none = BlockLora(BASE_ADAPTER, self._inputs({}))
        self._out = torch.empty(0, making.sizes.vocabulary)
        self.blocks = Blocks(making.sizes, KINDS[model.dtype], first)

    def cache(self, trunk: Trunk, branches: int) -> BlockTree:
        """See `serving.engine.backend.Backend`."""
        return BlockTree(self.blocks, trunk, branches)

    def begin(self) -> BlockPass:
        """See `serving.engine.backend.Backend`."""
        return BlockPass(self.blocks, self._choose, self._logits)

    def take(self, adapter: AdapterFile, shapes: Mapping[str, tuple[int, int]]) -> BlockLora:
        """See `serving.engine.backend.Backend`."""
        lora = load_lora(adapter, shapes, None, self._dtype, CPU)
        self._making.adapting()  # seconds, the first time: here and not between passes
        return BlockLora(lora.adapter_hash, self._inputs(lora.pairs))

    def close(self) -> None:
        """See `serving.engine.backend.Backend`."""
        self.merged.close()

    def _choose(self, adapters: set[str]) -> dict[str, Infer]:
        """What computes the rows of each of a pass's adapters."""
        plain = self.merged.choose(adapters)
        chosen: dict[str, Infer] = {}
        for adapter in adapters:
            if adapter in plain:
                chosen[adapter] = partial(self._plainly, self._read(plain[adapter]))
            else:
                chosen[adapter] = partial(self._beside, self._read(self._making.adapting()))
        return chosen

    def _read(self, graph: Compiled) -> Compiled:
        self.blocks.let_read(graph)
        return graph

    def _inputs(
        self, pairs: Mapping[tuple[int, str], tuple[torch.Tensor, torch.Tensor]]
    ) -> dict[str, ov.Tensor]:
        """All inputs of an adapter with these pairs; of rank 0 where it has none."""
        made = {}
        for key, place in self._places.items():
            a, b = pairs.get(key) or (torch.empty(place.inside, 0), torch.empty(0, place.out))
            made[place.port("A")] = tensor_of(a.t().to(self._dtype))
            made[place.port("B")] = tensor_of(b.to(self._dtype))
        return made

    def _logits(self, rows: int) -> torch.Tensor:
        """Memory that stays: fresh pages for megabytes of logits cost as much as computing them."""
        if rows > len(self._out):
            self._out = torch.empty(2 * rows, self._out.shape[1])
        return self._out[:rows]

    def _beside(
        self, graph: Compiled, rows: Rows, lora: BlockLora | None, logits: torch.Tensor
    ) -> None:
        """See `serving.engine.openvino.trees.Infer`: with the adapter as inputs."""
        through = lora or self._none
        graph.give_adapter(through.adapter_hash, through.inputs)
        graph.infer(self._arrays(rows), logits)

    def _plainly(
        self, graph: Compiled, rows: Rows, lora: BlockLora | None, logits: torch.Tensor
    ) -> None:
        """See `serving.engine.openvino.trees.Infer`: the adapter is in the weights."""
        graph.infer(self._arrays(rows), logits)

    def _arrays(self, rows: Rows) -> dict[str, np.ndarray]:
        """The inputs of a pass."""
        x = functional.embedding(torch.tensor(rows.ids), self._embedding)
        seen = joined(rows.seen, CPU)
        if seen is not None:
            seen.put_into(x)
        cos, sin = self._turns(torch.tensor(rows.positions))
        return {
            "embeddings": x.float().numpy(),
            "cos": cos.numpy(),
            "sin": sin.numpy(),
            "wanted": np.array(rows.wanted, np.int64),
            **paging(rows),
        }


class Turns:
    """Cosines and sines of positions, by the model's own rotary embedding."""

    def __init__(self, rotary: Any) -> None:
        self._rotary = rotary
        self._tables = (torch.empty(0, 0), torch.empty(0, 0))

    def __call__(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Each (rows, 1, 1, head size), of positions (rows,)."""
        last = int(positions.max())
        if last >= len(self._tables[0]):
            upwards = torch.arange(max(1024, 2 * last))[None]
            cos, sin = self._rotary(torch.empty(0), upwards)
            self._tables = cos[0].float(), sin[0].float()
        cos, sin = (table[positions][:, None, None] for table in self._tables)
        return cos, sin


def paging(rows: Rows) -> dict[str, np.ndarray]:
    """The inputs that tell the graph which rows see which blocks."""
    past = [before for before, _, _ in rows.sequences]
    counts = [count for _, count, _ in rows.sequences]
    tables = [table for _, _, table in rows.sequences]
    arrays = (
        past,
        np.cumsum([0, *counts]),
        [block for table in tables for block in table],
        np.cumsum([0, *map(len, tables)]),
    )
    longest = max(before + count for before, count, _ in rows.sequences)
    made = {name: np.array(array, np.int32) for name, array in zip(PAGING, arrays, strict=True)}
    return made | {"max_context_len": np.array(longest, np.int32)}


def tensor_of(values: torch.Tensor) -> ov.Tensor:
    """A copy of fp32 or bf16 values."""
    values = values.contiguous()
    tensor = ov.Tensor(KINDS[values.dtype], ov.Shape(list(values.shape)))
    if values.dtype == torch.float32:
        tensor.data[...] = values.numpy()
    else:
        tensor.data.view(np.uint16)[...] = values.view(torch.uint16).numpy()
    return tensor
