"""The forward pass of a Llama-like model over rows of tokens that belong to many trees.

It takes the weights of a transformers model, of a vision-language model those of its language part,
and nothing else of it: with a few rows a pass, the
stock modules spend as much time between the matrix products as in them. What it promises is the
same numbers, and `serving.engine.decoder_check` compares them once at every start. Llama, Mistral,
Qwen2, Qwen3, SmolLM2, SmolLM3 and their like (RMS norms, rotary positions, grouped heads, a gated
MLP, full attention) are served by configuration; anything else is refused.

It knows no trees: which keys a token sees is the business of the `attend` that is handed in
(`serving.engine.tree_cache`). Rows are (tokens, hidden), without a batch dimension.

Queries and keys are kept with the two halves of a head interleaved, so that a rotation is one
complex product. Scores are the same, as long as both sides are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from serving.engine.linear import PackedLinear
from serving.engine.lora import Beside, add_lora, interleaved
from serving.engine.seen import Seen
from serving.engine.shape import Shape
from serving.errors import ModelRefused

Attend = Callable[[int, torch.Tensor], torch.Tensor]
"""Layer and (rows, heads + 2 * kv heads, size), queries, keys, values, to (rows, heads * size)."""


@dataclass(frozen=True)
class Layer:
    """The weights of one layer."""

    attention_norm: torch.Tensor
    qkv: PackedLinear
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None
    rotates: bool
    out: PackedLinear
    mlp_norm: torch.Tensor
    gate: PackedLinear
    up: PackedLinear
    down: PackedLinear


class Decoder:
    """The weights of `model`, packed. Immutable; shares the model's embeddings and norms."""

    def __init__(self, model: Any) -> None:
        """Take the weights of a transformers model that generates text.

        Raises:
            ModelRefused: its layers are not those of a Llama-like model.
        """
        try:
            self._take(model)
        except AttributeError as error:
            raise ModelRefused(
                f"{model.config.model_type} is not built like Llama, Qwen or SmolLM ({error}); "
                "choose a base model of such an architecture"
            ) from None

    @torch.inference_mode()
    def _take(self, model: Any) -> None:
        body, config = model.get_decoder(), model.config.get_text_config()
        attention = body.layers[0].self_attn
        size = attention.head_dim
        self.shape = Shape(
            layers=len(body.layers),
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_size=size,
            scale=float(attention.scaling),
            dtype=model.dtype,
            device=model.device,
        )
        self._rotary = body.rotary_emb
        self._axes = 3 if hasattr(body.rotary_emb, "mrope_section") else 1
        self._embedding = body.embed_tokens.weight
        self.width = self._embedding.shape[1]
        self._norm = body.norm.weight
        self._epsilon = float(body.norm.variance_epsilon)
        self._activation = body.layers[0].mlp.act_fn
        head = model.get_output_embeddings()
        self._head = PackedLinear(head.weight, head.bias)
        self._layers = [take_layer(layer, size) for layer in body.layers]
        self._turns = torch.empty(0)

    def __call__(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        attend: Attend,
        wanted: torch.Tensor,
        lora: Beside = (),
        seen: Seen | None = None,
    ) -> torch.Tensor:
        """One forward pass.

        Args:
            ids: (rows,) token ids.
            positions: (rows,) their positions, or (rows, 3) where rows of pictures have one on
                each axis (interleaved M-RoPE, arXiv:2511.21631).
            attend: attention over keys of its own keeping, called once a layer.
            wanted: (n,) the rows after which logits are wanted.
            lora: the adapters of stretches of rows; rows in none go through the base alone.
            seen: rows that come from pictures; their ids are placeholders.

        Returns:
            (n, vocabulary) logits in the model's number type.
        """
        turns = self.turned(positions)
        return self.logits(self.hidden(ids, turns, attend, lora, seen)[wanted])

    def hidden(
        self,
        ids: torch.Tensor,
        turns: torch.Tensor,
        attend: Attend,
        lora: Beside = (),
        seen: Seen | None = None,
    ) -> torch.Tensor:
        """(rows, hidden) What a pass leaves before the head, with the rotations `turns` of its
        rows as `turned` gives them; the rest as in `__call__`."""
        x = functional.embedding(ids, self._embedding)
        if seen is not None:
            seen.put_into(x)
        for number, layer in enumerate(self._layers):
            x = self._attention(number, layer, x, turns, attend, lora)
            x = self._mlp(number, layer, x, lora)
            if seen is not None:
                seen.add_to(x, number)
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(n, vocabulary) of what `hidden` gives for n rows."""
        return self._head(self._normed(hidden, self._norm))

    def _attention(
        self,
        number: int,
        layer: Layer,
        x: torch.Tensor,
        turns: torch.Tensor,
        attend: Attend,
        lora: Beside,
    ) -> torch.Tensor:
        shape, rows = self.shape, len(x)
        h = self._normed(x, layer.attention_norm)
        qkv = add_lora(layer.qkv(h), h, lora, number, "qkv")
        qkv = qkv.view(rows, shape.heads + 2 * shape.kv_heads, shape.head_size)
        qk = qkv[:, : shape.heads + shape.kv_heads]
        if layer.query_norm is not None and layer.key_norm is not None:
            q, k = qk[:, : shape.heads], qk[:, shape.heads :]
            q.copy_(self._normed(q, layer.query_norm))
            k.copy_(self._normed(k, layer.key_norm))
        if layer.rotates:
            # In place in fp32; in another number type `float` makes a copy.
            turned = torch.view_as_complex(qk.float().unflatten(-1, (-1, 2))).mul_(turns)
            if qk.dtype != torch.float32:
                qk.copy_(torch.view_as_real(turned).flatten(-2))
        mixed = attend(number, qkv)
        if not lora:
            return layer.out.plus(mixed, x)
        return add_lora(layer.out(mixed), mixed, lora, number, "out").add_(x)

    def _mlp(self, number: int, layer: Layer, x: torch.Tensor, lora: Beside) -> torch.Tensor:
        h = self._normed(x, layer.mlp_norm)
        if not lora:
            gated = layer.up.times(h, layer.gate.activated(h, self._activation))
            return layer.down.plus(gated, x)
        gate = self._activation(add_lora(layer.gate(h), h, lora, number, "gate"))
        gated = add_lora(layer.up(h), h, lora, number, "up").mul_(gate)
        return add_lora(layer.down(gated), gated, lora, number, "down").add_(x)

    def _normed(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, weight.shape, weight, self._epsilon)

    def turned(self, positions: torch.Tensor) -> torch.Tensor:
        """(rows, 1, head_size / 2) complex rotations."""
        if positions.ndim > 1:
            return self._rotations(positions.T[:, None])
        return self.turns_to(int(positions.max()))[positions]

    def turns_to(self, last: int) -> torch.Tensor:
        """The rotations of the positions of text up to `last` and beyond, one after the other."""
        if last >= len(self._turns):
            upwards = torch.arange(max(1024, 2 * last), device=self.shape.device)[None]
            self._turns = self._rotations(upwards if self._axes == 1 else upwards.expand(3, 1, -1))
        return self._turns

    def _rotations(self, positions: torch.Tensor) -> torch.Tensor:
        """As `turned`, of positions as the model's own rotary embedding takes them."""
        cos, sin = self._rotary(torch.empty(0, device=self.shape.device), positions)
        half = self.shape.head_size // 2
        return torch.complex(cos[0, :, None, :half].float(), sin[0, :, None, :half].float())


def take_layer(layer: Any, head_size: int) -> Layer:
    """The weights of a transformers layer, queries and keys interleaved."""
    attention, mlp = layer.self_attn, layer.mlp
    projections = [attention.q_proj, attention.k_proj, attention.v_proj]
    weights = [projection.weight for projection in projections]
    biases = [projection.bias for projection in projections]
    for turned in (0, 1):
        weights[turned] = interleaved(weights[turned], head_size)
        if biases[turned] is not None:
            biases[turned] = interleaved(biases[turned], head_size)
    q_norm, k_norm = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
    return Layer(
        attention_norm=layer.input_layernorm.weight,
        qkv=PackedLinear(torch.cat(weights), None if biases[0] is None else torch.cat(biases)),
        query_norm=None if q_norm is None else interleaved(q_norm.weight, head_size),
        key_norm=None if k_norm is None else interleaved(k_norm.weight, head_size),
        # SmolLM3 leaves positions out of every fourth layer.
        rotates=bool(getattr(attention, "use_rope", True)),
        out=PackedLinear(attention.o_proj.weight, attention.o_proj.bias),
        mlp_norm=layer.post_attention_layernorm.weight,
        gate=PackedLinear(mlp.gate_proj.weight, mlp.gate_proj.bias),
        up=PackedLinear(mlp.up_proj.weight, mlp.up_proj.bias),
        down=PackedLinear(mlp.down_proj.weight, mlp.down_proj.bias),
    )
