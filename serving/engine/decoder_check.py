"""The decoder beside the model whose weights it took: the same logits, through pages and a tree.

Of a model with eyes, a picture in the trunk as well: its rows, their positions and what is added
to them later.

An architecture that the decoder does not know of (another norm, a factor, a bias) shows here at the
start of the engine, and not in somebody's values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from serving.engine.backend import AnyBackend
from serving.engine.eyes.features import Features, seen_in
from serving.errors import ModelRefused
from serving.prompt import lay_out

CHECKED_TOKENS = 24
# Relative error of the logits, as vectors: rounding of another order of summation is far below,
# another architecture far above.
CHECK_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.02}


@dataclass(frozen=True)
class Sample:
    """Pictures as the tree sees them, and as the whole model takes them beside token ids."""

    pictures: tuple[Features, ...] = ()
    inputs: Mapping[str, torch.Tensor] = field(default_factory=dict)


NO_PICTURE = Sample()


@torch.inference_mode()
def check(
    backend: AnyBackend, model: Any, sample: Sample = NO_PICTURE, tokens: int = CHECKED_TOKENS
) -> None:
    """Compare the backend's logits with the model's own on `tokens` random tokens, and pictures.

    Raises:
        ModelRefused: they differ by more than rounding.
    """
    generator = torch.Generator().manual_seed(0)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    random = torch.randint(vocabulary, (tokens,), generator=generator)
    # A placeholder among them would ask for one more picture.
    row = getattr(model.config, "image_token_id", -1)
    ids = random[random != row].tolist()
    quarter, half = len(ids) // 4, len(ids) // 2
    pictures = [picture.tokens for picture in sample.pictures]
    trunk, branch = lay_out(ids[:quarter], pictures, ids[quarter:half]), ids[half:]
    whole = torch.tensor([[*trunk.ids, *branch]], device=model.device)
    inputs = dict(sample.inputs)
    if "image_grid_thw" in inputs:
        inputs["mm_token_type_ids"] = (whole == row).int()
    theirs = model(whole, use_cache=False, **inputs).logits[0].float()
    cache = backend.cache(trunk, 1)
    tree_pass = backend.begin()
    tree_pass.add(cache, trunk, [(0, 0, branch)], seen=seen_in(trunk, sample.pictures))
    ours = tree_pass.run(range(whole.shape[1])).logits.float()
    error = float((ours - theirs).norm() / theirs.norm())
    if not error < CHECK_TOLERANCE[model.dtype]:
        raise ModelRefused(
            f"{model.config.model_type} computes something that the tree does not (its logits "
            f"differ by {error:.1%}); choose a base model like Llama, Qwen or SmolLM"
        )
