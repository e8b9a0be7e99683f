"""What eyes put into rows of a forward pass in place of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Seen:
    """Rows that come from pictures.

    `embeddings` (n, hidden) stand for the tokens of `rows` (n,); `deep`, each (n, hidden), are
    added to these rows after the first layers, one after each (DeepStack, arXiv:2406.04334).
    """

    rows: torch.Tensor
    embeddings: torch.Tensor
    deep: tuple[torch.Tensor, ...] = ()

    def put_into(self, x: torch.Tensor) -> None:
        """Replace the rows of the embeddings `x` (rows, hidden)."""
        x[self.rows] = self.embeddings.to(x.dtype)

    def add_to(self, x: torch.Tensor, layer: int) -> None:
        """Add what is due after `layer` to the hidden states `x` (rows, hidden)."""
        if layer < len(self.deep):
            x[self.rows] += self.deep[layer].to(x.dtype)


def joined(parts: Sequence[tuple[int, Seen]], device: torch.device) -> Seen | None:
    """What a pass sees: the row where each of its trunks begins, and what that sees."""
    if not parts:
        return None
    return Seen(
        torch.cat([seen.rows + start for start, seen in parts]).to(device),
        torch.cat([seen.embeddings for _, seen in parts]).to(device),
        tuple(
            torch.cat(layer).to(device)
            for layer in zip(*(seen.deep for _, seen in parts), strict=True)
        ),
    )
