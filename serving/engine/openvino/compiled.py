"""A graph compiled for this machine, and what it is given and asked by name."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
import torch

from serving.engine.openvino.graph import BLOCK, KINDS, Graph, cache_names
from serving.engine.openvino.support import Unsuited


class Compiled:
    """A graph that computes. For one thread at a time."""

    def __init__(self, graph: Graph, dtype: torch.dtype) -> None:
        """Compile `graph` to compute in `dtype`, and have it pack its weights.

        Raises:
            Unsuited: this machine does not compute in it, or OpenVINO does not compile the graph.
        """
        try:
            self._compiled = ov.Core().compile_model(graph.ov_model, "CPU", properties(dtype))
        except RuntimeError as error:
            first_line = str(error).strip().splitlines()[0]
            raise Unsuited(f"OpenVINO does not compile this base ({first_line})") from None
        self._weights = graph.weights  # OpenVINO may read them again
        self._request = self._compiled.create_infer_request()
        # OpenVINO looks for a name seven times as long as for a port, and an adapter has hundreds.
        self._ports = {port.any_name: port for port in self._compiled.inputs}
        self._adapter: str | None = None
        self._pack(graph, dtype)

    def give(self, name: str, tensor: ov.Tensor) -> None:
        """The tensor of an input, until another is given."""
        self._request.set_tensor(self._ports[name], tensor)

    def give_adapter(self, adapter_hash: str, inputs: Mapping[str, ov.Tensor]) -> None:
        """The inputs of an adapter, unless it has them already."""
        if adapter_hash == self._adapter:
            return
        self._adapter = None  # should one input fail, the others are of two adapters
        for name, tensor in inputs.items():
            self.give(name, tensor)
        self._adapter = adapter_hash

    def infer(self, arrays: Mapping[str, np.ndarray], logits: torch.Tensor) -> None:
        """Leave what comes of `arrays` in `logits`, (wanted rows, vocabulary) in fp32."""
        for name, array in arrays.items():
            self.give(name, ov.Tensor(array))
        self._request.set_tensor("logits", ov.Tensor(logits.numpy(), shared_memory=True))
        self._request.infer()

    def _pack(self, graph: Graph, dtype: torch.dtype) -> None:
        """The first pass, of one row: casts and packs the weights, in whatever thread this is."""
        sizes = graph.sizes
        for name in cache_names(sizes.layers):
            shape = ov.Shape([1, sizes.kv_heads, BLOCK, sizes.head_size])
            self.give(name, ov.Tensor(KINDS[dtype], shape))
        if graph.adapts:
            for place in graph.places:
                self.give(place.port("A"), ov.Tensor(KINDS[dtype], ov.Shape([0, place.inside])))
                self.give(place.port("B"), ov.Tensor(KINDS[dtype], ov.Shape([0, place.out])))
        turn = np.zeros((1, 1, 1, sizes.head_size), np.float32)
        row: dict[str, Any] = {
            "embeddings": np.zeros((1, sizes.hidden), np.float32),
            "cos": turn,
            "sin": turn,
            "wanted": np.zeros(1, np.int64),
            "past_lens": np.zeros(1, np.int32),
            "subsequence_begins": np.array([0, 1], np.int32),
            "block_indices": np.zeros(1, np.int32),
            "block_indices_begins": np.array([0, 1], np.int32),
            "max_context_len": np.array(1, np.int32),
        }
        self.infer(row, torch.empty(1, sizes.vocabulary))


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
