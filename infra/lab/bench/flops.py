"""How much arithmetic a listing must cost, and so how fast this machine could answer it at best.

    FLOPs = tokens x 2 x (weights of the decoder's linear layers)
          + logits x 2 x hidden x vocabulary
          + keys   x 4 x heads x head size x layers
    limit = FLOPs / matrix rate

`tokens` and `logits` are what the engine counted; `keys` is the number of (token, visible key)
pairs of the tree: a trunk token sees itself and the trunk before it, a branch's token the whole
trunk, its own branch so far and itself. Norms, rotations and the softmax are left out: they are
a few per cent, and left out they can only make the limit harder to reach.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DecoderSizes:
    """The sizes of a decoder that its arithmetic depends on."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_heads: int
    head_size: int
    vocabulary: int

    @classmethod
    def read(cls, base: Path) -> "DecoderSizes":
        """The sizes in the `config.json` of the folder `base`."""
        config = json.loads((base / "config.json").read_text())
        heads = config["num_attention_heads"]
        return cls(
            hidden=config["hidden_size"],
            intermediate=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            key_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or config["hidden_size"] // heads,
            vocabulary=config["vocab_size"],
        )

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """(out, in) of one layer's matrices, fused as an engine may: q+k+v, o, gate, up, down."""
        queries = self.heads * self.head_size
        fused = queries + 2 * self.key_heads * self.head_size
        wide, narrow = self.intermediate, self.hidden
        return (
            (fused, narrow), (narrow, queries), (wide, narrow), (wide, narrow), (narrow, wide),
        )  # fmt: skip

    @property
    def linear_weights(self) -> int:
        """The number of weights in all layers' matrices, without embedding and head."""
        return self.layers * sum(out * inner for out, inner in self.matrices)

    def lora_weights(self, rank: int) -> int:
        """The weights of LoRA on all linear layers: A and B for each of the seven matrices."""
        queries, keys = self.heads * self.head_size, self.key_heads * self.head_size
        sides = [
            self.hidden + queries, self.hidden + keys, self.hidden + keys, queries + self.hidden,
            *[self.hidden + self.intermediate] * 3,
        ]  # fmt: skip
        return self.layers * rank * sum(sides)


def listing_flops(shape: DecoderSizes, tokens: float, logits: float, keys: float) -> float:
    """The FLOPs of `tokens` computed, `logits` rows of logits and `keys` visible keys."""
    return (
        tokens * 2 * shape.linear_weights
        + logits * 2 * shape.hidden * shape.vocabulary
        + keys * 4 * shape.heads * shape.head_size * shape.layers
    )


def training_flops(
    shape: DecoderSizes, rank: int, tokens: float, logits: float, keys: float
) -> float:
    """The FLOPs of one training step, forward and backward, with LoRA of `rank`.

    Frozen matrices cost their forward product once more in the backward pass, for the gradient of
    their input; LoRA's own twice more, and so does attention. Nothing is computed again.
    """
    return (
        tokens * (4 * shape.linear_weights + 6 * shape.lora_weights(rank))
        + logits * 4 * shape.hidden * shape.vocabulary
        + keys * 12 * shape.heads * shape.head_size * shape.layers
    )


def visible_keys(trunk: int, branches: Sequence[float]) -> float:
    """The (token, visible key) pairs of a tree: `trunk` tokens, then branches of these lengths."""
    pairs = trunk * (trunk + 1) / 2
    return pairs + sum(length * trunk + length * (length + 1) / 2 for length in branches)
