"""The decoder beside the model whose weights it took: the same logits, through pages and a tree.

An architecture that the decoder does not know of (another norm, a factor, a bias) shows here at the
start of the engine, and not in somebody's values.
"""

from typing import Any

import torch

from serving.engine.decoder import Decoder
from serving.engine.pages import Pages
from serving.engine.tree_cache import TreeCache, TreePass
from serving.errors import ModelRefused
from serving.prompt import Trunk

CHECKED_TOKENS = 24
# Relative error of the logits, as vectors: rounding of another order of summation is far below,
# another architecture far above.
CHECK_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.02}


@torch.inference_mode()
def check(decoder: Decoder, model: Any) -> None:
    """Compare the decoder's logits with the model's own on a row of random tokens.

    Raises:
        ModelRefused: they differ by more than rounding.
    """
    generator = torch.Generator().manual_seed(0)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    ids = torch.randint(vocabulary, (CHECKED_TOKENS,), generator=generator)
    half = CHECKED_TOKENS // 2
    everywhere = torch.arange(CHECKED_TOKENS, device=model.device)
    theirs = model(ids[None].to(model.device), use_cache=False).logits[0].float()
    pages = Pages(decoder.shape)
    trunk = Trunk(tuple(ids[:half].tolist()), range(half), half)
    cache = TreeCache(pages, trunk, 1)
    tree_pass = TreePass(pages)
    tree_pass.add(cache, trunk, [(0, 0, ids[half:].tolist())])
    ours = tree_pass.run(decoder, everywhere.tolist()).float()
    error = float((ours - theirs).norm() / theirs.norm())
    if not error < CHECK_TOLERANCE[model.dtype]:
        raise ModelRefused(
            f"{model.config.model_type} computes something that the tree does not (its logits "
            f"differ by {error:.1%}); choose a base model like Llama, Qwen or SmolLM"
        )
