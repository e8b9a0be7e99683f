"""The graph compiled, its inputs and its outputs: see `serving.engine.backend.Backend`.

It takes from the model what stays in PyTorch (embeddings, rotary positions); the rest of the
model's weights are not needed any more once it is made.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch.nn import functional

from serving.adapter_file import AdapterFile
from serving.engine.lora import load_lora
from serving.engine.openvino.blocks import FIRST_BLOCKS, Blocks
from serving.engine.openvino.graph import LORA_TYPES, PAGING, Graph, Place, sizes_of
from serving.engine.openvino.support import Unsuited, check_base
from serving.engine.openvino.trees import BlockLora, BlockPass, BlockTree, Rows
from serving.engine.openvino.weights import Weights
from serving.engine.seen import joined
from serving.prompt import Trunk

DRAFT_ROWS = 24
"""As PyTorch's on a CPU: the weights have to come from memory anyway."""
CPU = torch.device("cpu")


class OpenVinoBackend:
    """See `serving.engine.backend.Backend`."""

    name = "openvino"

    def __init__(self, model: Any, folder: Path | None = None, first: int = FIRST_BLOCKS) -> None:
        """Compile the transformers model `model`.

        Args:
            model: it can go once the first pass is made, but for its embeddings.
            folder: where its weights lie meanwhile, as `serving.engine.openvino.weights` says.
            first: blocks to begin with.

        Raises:
            Unsuited: the graph cannot express it, OpenVINO does not compile it here, or `folder`
                cannot be written.
        """
        self.draft_rows = DRAFT_ROWS
        self._dtype = model.dtype
        try:
            check_base(model)
            sizes = sizes_of(model)
            with Weights(folder) as self._weights:
                graph = Graph(model, sizes, self._weights)
        except AttributeError as error:
            raise Unsuited(
                f"{model.config.model_type} is not built like Llama, Qwen or SmolLM ({error})"
            ) from None
        try:
            self._compiled = ov.Core().compile_model(graph.ov_model, "CPU", properties(model.dtype))
        except RuntimeError as error:
            first_line = str(error).strip().splitlines()[0]
            raise Unsuited(f"OpenVINO does not compile this base ({first_line})") from None
        self._weights.let_go()
        self._request = self._compiled.create_infer_request()
        self._give = giver(self._compiled, self._request)
        self._vocabulary = sizes.vocabulary
        self._embedding = model.get_input_embeddings().weight
        self._turns = Turns(model.get_decoder().rotary_emb)
        self._places: Mapping[tuple[int, str], Place] = {
            (place.layer, place.group): place for place in graph.places
        }
        self._none = BlockLora("", self._inputs({}))
        self._through: BlockLora | None = None
        self._out = torch.empty(0, sizes.vocabulary)
        kind = LORA_TYPES[model.dtype]
        self.blocks = Blocks(sizes, kind, self._give, first)

    def cache(self, trunk: Trunk, branches: int) -> BlockTree:
        """See `serving.engine.backend.Backend`."""
        return BlockTree(self.blocks, trunk, branches)

    def begin(self) -> BlockPass:
        """See `serving.engine.backend.Backend`."""
        return BlockPass(self.blocks, self._infer, self._logits)

    def take(self, adapter: AdapterFile, shapes: Mapping[str, tuple[int, int]]) -> BlockLora:
        """See `serving.engine.backend.Backend`."""
        lora = load_lora(adapter, shapes, None, self._dtype, CPU)
        return BlockLora(lora.adapter_hash, self._inputs(lora.pairs))

    def close(self) -> None:
        """Nothing works in the background."""

    def let_go(self) -> None:
        """The memory that only compiling and the first pass needed."""
        self._weights.let_go()

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
            self._out = torch.empty(2 * rows, self._vocabulary)
        return self._out[:rows]

    def _infer(self, rows: Rows, lora: BlockLora | None, logits: torch.Tensor) -> None:
        """See `serving.engine.openvino.trees.Infer`."""
        through = lora or self._none
        if through is not self._through:
            self._through = None  # should one input fail, the others are of two adapters
            for name, tensor in through.inputs.items():
                self._give(name, tensor)
            self._through = through
        x = functional.embedding(torch.tensor(rows.ids), self._embedding)
        seen = joined(rows.seen, CPU)
        if seen is not None:
            seen.put_into(x)
        cos, sin = self._turns(torch.tensor(rows.positions))
        self._set("embeddings", x.float().numpy())
        self._set("cos", cos.numpy())
        self._set("sin", sin.numpy())
        self._set("wanted", np.array(rows.wanted, np.int64))
        for name, array in paging(rows).items():
            self._set(name, array)
        out = ov.Tensor(logits.numpy(), shared_memory=True)
        self._request.set_tensor("logits", out)
        self._request.infer()

    def _set(self, name: str, array: np.ndarray) -> None:
        self._give(name, ov.Tensor(array))


def giver(compiled: ov.CompiledModel, request: ov.InferRequest) -> Callable[[str, ov.Tensor], None]:
    """Sets an input of `request` by its name.

    OpenVINO looks for a name seven times as long as for a port, and an adapter has hundreds.
    """
    ports = {port.any_name: port for port in compiled.inputs}
    return lambda name, tensor: request.set_tensor(ports[name], tensor)


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


def properties(dtype: torch.dtype) -> dict[str, Any]:
    """How OpenVINO compiles for a number type, and for as many threads as PyTorch has.

    Raises:
        Unsuited: this processor does not compute in it.
    """
    kinds = {torch.float32: ("f32", "FP32"), torch.bfloat16: ("bf16", "BF16")}
    kind, capability = kinds[dtype]
    if capability not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unsuited(f"OpenVINO does not compute in {kind} on this processor")
    return {
        "INFERENCE_PRECISION_HINT": kind,
        "KV_CACHE_PRECISION": kind,  # else 8 bits
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }


def tensor_of(values: torch.Tensor) -> ov.Tensor:
    """A copy of fp32 or bf16 values."""
    values = values.contiguous()
    tensor = ov.Tensor(LORA_TYPES[values.dtype], ov.Shape(list(values.shape)))
    if values.dtype == torch.float32:
        tensor.data[...] = values.numpy()
    else:
        tensor.data.view(np.uint16)[...] = values.view(torch.uint16).numpy()
    return tensor
