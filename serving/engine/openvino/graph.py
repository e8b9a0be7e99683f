"""The layers and the head of a Llama-like model as one OpenVINO graph over rows of tokens.

Rows come as embeddings, so that what eyes have seen is rows like any other, and with the cosines
and sines of their positions. Attention is `_PagedAttentionExtension`, the operation that OpenVINO
GenAI's continuous batching is made of: rows are parted into subsequences, each with a table of the
blocks that hold its keys. The operation is private to OpenVINO (its 28 inputs are those of
2026.4.1), which is why the version is pinned and the decoder compared with the model at each start.

The forms below are those that the CPU plugin fuses into one kernel: RMS norms, rotary positions,
queries, keys and values as one product. Hidden states are (rows, hidden): with a third dimension
an adapter's products take three times as long.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as op
from openvino.op import _PagedAttentionExtension
from transformers.activations import GELUActivation

from serving.engine.linear import SILU
from serving.engine.lora import GROUPS
from serving.engine.openvino.support import Unsuited
from serving.engine.openvino.weights import Constants

BLOCK = 32
"""Tokens in a block of keys; the CPU plugin takes no other number."""

KINDS = {torch.float32: ov.Type.f32, torch.bfloat16: ov.Type.bf16}


@dataclass(frozen=True)
class Sizes:
    """What the graph and its cache are shaped by."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    scale: float
    epsilon: float


@dataclass(frozen=True)
class Place:
    """Where an adapter goes: a layer's matrix y = x Wᵀ of W (out, in)."""

    layer: int
    group: str
    out: int
    inside: int

    def port(self, side: str) -> str:
        """The graph's input for A (r, in) or B (r, out), which is scaled by alpha / r."""
        return f"lora.{self.layer}.{self.group}.{side}"


def sizes_of(model: Any) -> Sizes:
    """The sizes of a transformers model."""
    body, config = model.get_decoder(), model.config.get_text_config()
    attention = body.layers[0].self_attn
    return Sizes(
        layers=len(body.layers),
        hidden=config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_size=attention.head_dim,
        vocabulary=len(model.get_output_embeddings().weight),
        scale=float(attention.scaling),
        epsilon=float(body.norm.variance_epsilon),
    )


class Graph:
    """The graph of `model`, in `ov_model`; `places` are where adapters go, if it `adapts`."""

    def __init__(self, model: Any, sizes: Sizes, weights: Constants, adapts: bool = False) -> None:
        """Of a transformers model, with `weights` made of its own; `adapts`: adapters are inputs.

        Raises:
            Unsuited: the layers have something that the graph cannot express.
        """
        self.sizes = sizes
        self.adapts = adapts
        self.weights = weights
        self._constant = weights.constant
        self.places: list[Place] = []
        self._lora_type = KINDS[model.dtype]
        self._inputs: list[Any] = []
        body, head = model.get_decoder(), model.get_output_embeddings()
        self._gated = gating_of(body.layers[0].mlp.act_fn)
        x = self._input([-1, sizes.hidden], np.float32, "embeddings")
        turns = [
            self._input([-1, 1, 1, sizes.head_size], np.float32, name) for name in ("cos", "sin")
        ]
        wanted = self._input([-1], np.int64, "wanted")
        self._paging = [self._input([-1], np.int32, name) for name in PAGING]
        self._longest = self._input([], np.int32, "max_context_len")
        for number in range(sizes.layers):
            x = self._layer(number, body.layers[number], x, turns)
        x = self._norm("norm", op.gather(x, wanted, whole([0], 64)), body.norm.weight)
        logits = self._product("head", x, [head])
        logits.output(0).set_names({"logits"})
        self.ov_model = ov.Model([op.result(logits)], self._inputs, "listune")

    def _layer(self, number: int, layer: Any, x: Any, turns: Sequence[Any]) -> Any:
        h = self._norm(f"{number}.norm_in", x, layer.input_layernorm.weight)
        x = op.add(x, self._attention(number, layer.self_attn, h, turns))
        h = self._norm(f"{number}.norm_mlp", x, layer.post_attention_layernorm.weight)
        gate = self._linear(number, "gate", h, [layer.mlp.gate_proj])
        gated = self._gated(gate, self._linear(number, "up", h, [layer.mlp.up_proj]))
        return op.add(x, self._linear(number, "down", gated, [layer.mlp.down_proj]))

    def _attention(self, number: int, attention: Any, h: Any, turns: Sequence[Any]) -> Any:
        sizes = self.sizes
        queries, keys = sizes.heads * sizes.head_size, sizes.kv_heads * sizes.head_size
        projections = [attention.q_proj, attention.k_proj, attention.v_proj]
        qkv = self._linear(number, "qkv", h, projections)
        q, k, v = op.variadic_split(
            qkv, whole([-1], 64), whole([queries, keys, keys], 64)
        ).outputs()
        # SmolLM3 leaves positions out of every fourth layer.
        turned = turns if getattr(attention, "use_rope", True) else ()
        norms = [(f"{number}.{name}", getattr(attention, name, None)) for name in QK_NORMS]
        q = self._placed(q, sizes.heads, norms[0], turned)
        k = self._placed(k, sizes.kv_heads, norms[1], turned)
        caches = [
            self._input(
                [-1, sizes.kv_heads, BLOCK, sizes.head_size], np.float32, f"{kind}.{number}"
            )
            for kind in CACHES
        ]
        mixed = paged_attention([q, k, v, *caches, *self._paging], self._longest, sizes)
        return self._linear(number, "out", mixed, [attention.o_proj])

    def _placed(self, x: Any, heads: int, named: tuple[str, Any], turns: Sequence[Any]) -> Any:
        """Queries or keys (rows, heads * size), normed where the model does, and turned."""
        size = self.sizes.head_size
        name, norm = named
        if norm is None and not turns:
            return x
        x = op.reshape(x, whole([-1, heads, 1, size], 64), False)
        if norm is not None:
            x = self._norm(name, x, norm.weight)
        if turns:
            halves = op.variadic_split(x, whole(3, 64), whole([size // 2, size // 2], 64))
            first, second = halves.outputs()
            other = op.concat([op.multiply(second, real(-1.0)), first], -1)
            x = op.add(op.multiply(x, turns[0]), op.multiply(other, turns[1]))
        return op.reshape(x, whole([-1, heads * size], 64), False)

    def _norm(self, name: str, x: Any, weight: torch.Tensor) -> Any:
        squares = op.reduce_mean(op.power(x, real(2.0)), whole([-1], 64), True)
        factor = op.divide(real(1.0), op.sqrt(op.add(squares, real(self.sizes.epsilon))))
        return op.multiply(self._constant(name, weight), op.multiply(x, factor))

    def _linear(self, layer: int, group: str, x: Any, modules: Sequence[Any]) -> Any:
        """`modules` side by side, with the adapter's share if it adapts: (rows, out)."""
        out = sum(len(module.weight) for module in modules)
        place = Place(layer, group, out, modules[0].weight.shape[1])
        assert len(modules) == len(GROUPS[group])
        self.places.append(place)
        y = self._product(f"{layer}.{group}", x, modules)
        if not self.adapts:
            return y
        a = self._input([-1, place.inside], self._lora_type, place.port("A"))
        b = self._input([-1, place.out], self._lora_type, place.port("B"))
        if self._lora_type != ov.Type.f32:
            a, b = op.convert(a, ov.Type.f32), op.convert(b, ov.Type.f32)
        share = op.matmul(op.matmul(x, a, False, True), b, False, False)
        return op.add(y, share)

    def _product(self, name: str, x: Any, modules: Sequence[Any]) -> Any:
        weights = self._constant(name, *(module.weight for module in modules))
        y = op.matmul(x, weights, False, True)
        if modules[0].bias is None:
            return y
        return op.add(y, self._constant(f"{name}.bias", *(module.bias for module in modules)))

    def _input(self, shape: Sequence[int], kind: Any, name: str) -> Any:
        made = op.parameter(list(shape), kind, name=name)
        made.output(0).set_names({name})
        self._inputs.append(made)
        return made


QK_NORMS = ("q_norm", "k_norm")
CACHES = ("key_cache", "value_cache")
"""The inputs of each layer that are memory, read and written."""
PAGING = ("past_lens", "subsequence_begins", "block_indices", "block_indices_begins")
"""The inputs that say which rows see which blocks, as in vLLM (arXiv:2309.06180)."""


def cache_names(layers: int) -> list[str]:
    """The inputs that are memory, of all layers."""
    return [f"{kind}.{layer}" for layer in range(layers) for kind in CACHES]


def paged_attention(inputs: Sequence[Any], longest: Any, sizes: Sizes) -> Any:
    """Attention of `inputs` (queries, keys, values, both caches, the four of `PAGING`).

    The last inputs stand for what is not used: sliding windows, ALiBi, scores, rotation of evicted
    keys, sparse attention, sinks, and eviction.
    """
    no_i32, no_f32 = whole([], 32), real(np.zeros(0))
    rest = [
        real(sizes.scale),  # 9
        whole(0, 32),  # 10 sliding_window
        no_f32,  # 11 alibi_slopes
        longest,  # 12 max_context_len
        no_i32,  # 13 score_aggregation_window
        *(no_i32, no_i32, no_f32),  # 14 to 16, rotation
        *(no_f32, whole(0, 32), whole(0, 32)),  # 17 to 19, xattention
        real(np.zeros((0, 0, 0, 0))),  # 20 sinks
        *(whole(0, 32), no_i32, no_i32, no_i32),  # 21 to 24, adaptive R-KV
        no_i32,  # 25 token_type_ids
        *(op.constant(np.zeros(0, np.uint8)), no_i32),  # 26 and 27, qq_bias
    ]
    ports = [one if isinstance(one, ov.Output) else one.output(0) for one in [*inputs, *rest]]
    attention = _PagedAttentionExtension(ports)
    for kind in ("k", "v"):
        attention.get_rt_info()[f"num_{kind}_heads"] = sizes.kv_heads
        attention.get_rt_info()[f"{kind}_head_size"] = sizes.head_size
    return attention.output(0)


def gating_of(activation: Any) -> Callable[[Any, Any], Any]:
    """The graph's form of a gate by a model's activation, activation(gate) * up.

    Raises:
        Unsuited: it has none.
    """
    if isinstance(activation, SILU):
        # Not `swish`, which the plugin makes one with the gate's product: in fp32 it then packs
        # that matrix in three forms, for one row, for few and for many.
        return lambda gate, up: op.multiply(op.multiply(op.sigmoid(gate), up), gate)
    if isinstance(activation, GELUActivation):
        return lambda gate, up: op.multiply(op.gelu(gate, "erf"), up)
    raise Unsuited(f"the graph has no activation like {type(activation).__name__}")


def real(values: Any) -> Any:
    """An fp32 constant."""
    return op.constant(np.array(values, np.float32))


def whole(values: Any, bits: int) -> Any:
    """An integer constant."""
    return op.constant(np.array(values, np.int32 if bits == 32 else np.int64))
