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

from serving.projector import Eyes

# Root of E[gelu(z)²] for a standard normal z: what the first layer leaves of a unit variance.
GELU_SIZE = 0.652


class Projector(nn.Module):
    """See the module. fp32, wherever the base is."""

    def __init__(self, eyes: Eyes) -> None:
        """A projector of these sizes with weights that are not set; see `fresh` and `loaded`."""
        super().__init__()
        self.eyes = eyes
        self.norm = nn.LayerNorm(eyes.features)
        self.widen = nn.Linear(eyes.features, eyes.hidden)
        self.out = nn.Linear(eyes.hidden, eyes.hidden)
        self.places = nn.Parameter(torch.zeros(eyes.rows, eyes.hidden))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(pictures, rows, features) of any number type into (pictures, rows, hidden)."""
        x = self.widen(self.norm(features.to(self.norm.weight.dtype)))
        return self.scale * (self.out(functional.gelu(x)) + self.places)

    def tensors(self) -> dict[str, torch.Tensor]:
        """A copy of the weights by name, fp32, on the CPU."""
        return {name: t.detach().float().cpu().clone() for name, t in self.state_dict().items()}


def fresh(eyes: Eyes, embeddings: torch.Tensor, seed: int) -> Projector:
    """A projector to begin with: the same `seed`, the same weights.

    `embeddings` are the base's, (tokens, hidden): rows begin as large as they are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projector = Projector(eyes)
        nn.init.normal_(projector.widen.weight, std=eyes.features**-0.5)
        nn.init.normal_(projector.out.weight, std=eyes.hidden**-0.5 / GELU_SIZE)
    for layer in (projector.widen, projector.out):
        nn.init.zeros_(layer.bias)
    with torch.no_grad():
        projector.scale.copy_(embeddings.float().square().mean().sqrt())
    return projector


def loaded(eyes: Eyes, tensors: Mapping[str, torch.Tensor]) -> Projector:
    """The projector with these weights, as `serving.adapter_file` has checked them."""
    projector = Projector(eyes)
    projector.load_state_dict(dict(tensors))
    return projector
