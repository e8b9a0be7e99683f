"""The projector: an encoder's features into rows of the trunk. It trains, beside LoRA.

    row = scale * (W2 gelu(W1 norm(features)) + place)

as LLaVA 1.5's two layers (Liu et al. 2023), with the features normalised before, a learned vector
for each place in the picture, and a learned `scale`. That one begins as the typical size of the
base's own embeddings, so that a fresh projector's rows are as large as a word's while its weights
are of a size at which they learn as fast as LoRA's.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from serving.projector import Sight

# Root of E[gelu(z)²] for a standard normal z: what the first layer leaves of a unit variance.
GELU_SIZE = 0.652


class Projector(nn.Module):
    """See the module. fp32, wherever the base is."""

    def __init__(self, sight: Sight) -> None:
        """A projector of these sizes with weights that are not set; see `fresh` and `loaded`."""
        super().__init__()
        self.sight = sight
        self.norm = nn.LayerNorm(sight.features)
        self.widen = nn.Linear(sight.features, sight.hidden)
        self.out = nn.Linear(sight.hidden, sight.hidden)
        self.places = nn.Parameter(torch.zeros(sight.rows, sight.hidden))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(pictures, rows, features) of any number type into (pictures, rows, hidden)."""
        x = self.widen(self.norm(features.to(self.norm.weight.dtype)))
        return self.scale * (self.out(functional.gelu(x)) + self.places)

    def tensors(self) -> dict[str, torch.Tensor]:
        """A copy of the weights by name, fp32, on the CPU."""
        return {name: t.detach().float().cpu().clone() for name, t in self.state_dict().items()}


def fresh(sight: Sight, embeddings: torch.Tensor, seed: int) -> Projector:
    """A projector to begin with: the same `seed`, the same weights.

    `embeddings` are the base's, (tokens, hidden): rows begin as large as they are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projector = Projector(sight)
        nn.init.normal_(projector.widen.weight, std=sight.features**-0.5)
        nn.init.normal_(projector.out.weight, std=sight.hidden**-0.5 / GELU_SIZE)
    for layer in (projector.widen, projector.out):
        nn.init.zeros_(layer.bias)
    with torch.no_grad():
        projector.scale.copy_(embeddings.float().square().mean().sqrt())
    return projector


def loaded(sight: Sight, tensors: Mapping[str, torch.Tensor]) -> Projector:
    """The projector with these weights, as `serving.adapter_file` has checked them."""
    projector = Projector(sight)
    projector.load_state_dict(dict(tensors))
    return projector
