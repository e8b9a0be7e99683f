"""A frozen picture encoder, EfficientNet-Lite (Tan and Le 2019): pictures into grids of features.

The whole picture is resized once to a square and becomes `rows` places of `features` numbers each,
taken after the last 1x1 convolution and before pooling. Nothing here trains. Its number type is
fp32 on every machine, so that the engine and the trainer see the same.

A folder holds `config.json` (`EncoderConfig`) and `model.safetensors`, whose convolutions have
their batch norm folded in; `infra.local.picture_encoder` writes it. Padding is TensorFlow's `SAME`,
which is not symmetric where a convolution strides.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from serving.base_hash import base_hash
from serving.errors import AdapterError, ModelRefused

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class Stage(BaseModel):
    """Blocks of one width; the first of them strides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repeats: int = Field(ge=1)
    kernel: int = Field(ge=1)
    stride: int = Field(ge=1)
    expand: int = Field(ge=1)
    width: int = Field(ge=1)


class EncoderConfig(BaseModel):
    """The sizes of an encoder, and what its pictures are scaled to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    image_size: int = Field(ge=1)  # pixels of each edge
    mean: float  # of 0 to 255; a pixel is (value - mean) / std
    std: float = Field(gt=0)
    stem: int = Field(ge=1)
    stages: tuple[Stage, ...]
    features: int = Field(ge=1)
    rows: int = Field(ge=1)

    @property
    def grid(self) -> int:
        """Places along an edge."""
        edge = -(-self.image_size // 2)  # the stem's stride
        for stage in self.stages:
            edge = -(-edge // stage.stride)
        return edge


LITE0 = EncoderConfig(
    name="efficientnet-lite0",
    image_size=224,
    # Of efficientnet_lite_builder.py, TensorFlow's own. ImageNet's usual mean and deviation, which
    # its other sizes take, leave this one less sure of every tenth picture.
    mean=127.0,
    std=128.0,
    stem=32,
    stages=tuple(
        Stage(repeats=repeats, kernel=kernel, stride=stride, expand=expand, width=width)
        for repeats, kernel, stride, expand, width in (
            (1, 3, 1, 1, 16),
            (2, 3, 2, 6, 24),
            (2, 5, 2, 6, 40),
            (3, 3, 2, 6, 80),
            (3, 5, 1, 6, 112),
            (4, 5, 2, 6, 192),
            (1, 3, 1, 6, 320),
        )
    ),
    features=1280,
    rows=49,
)
"""EfficientNet-Lite0: its stages as `efficientnet_lite_builder.py` has them."""


class Encoder(nn.Module):
    """See the module."""

    def __init__(self, config: EncoderConfig, hash_: str = "") -> None:
        """An encoder of these sizes, its weights random; `load_encoder` gives the trained one."""
        super().__init__()
        self.config = config
        self.hash = hash_
        self.stem = SameConv(3, config.stem, 3, stride=2)
        self.blocks = nn.ModuleList()
        width = config.stem
        for stage in config.stages:
            for number in range(stage.repeats):
                self.blocks.append(Block(width, stage, stage.stride if number == 0 else 1))
                width = stage.width
        self.head = SameConv(width, config.features, 1)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def features(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """What is seen of RGB pictures of any size: (pictures, rows, features), fp32, 0 to 6."""
        size, config = (self.config.image_size,) * 2, self.config
        pixels = np.stack(
            [np.asarray(p.resize(size, Image.Resampling.BICUBIC), np.float32) for p in pictures]
        )
        x = torch.from_numpy((pixels - config.mean) / config.std).permute(0, 3, 1, 2)
        return self(x.to(self.stem.weight.device)).flatten(2).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(pictures, 3, edge, edge), scaled, into (pictures, features, grid, grid)."""
        x = functional.relu6(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return functional.relu6(self.head(x))


class Block(nn.Module):
    """An inverted residual: widen, look around in each channel, narrow (Sandler et al. 2018)."""

    def __init__(self, width: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = width * stage.expand
        self.expand = SameConv(width, wide, 1) if stage.expand > 1 else None
        self.depthwise = SameConv(wide, wide, stage.kernel, stride=stride, groups=wide)
        self.project = SameConv(wide, stage.width, 1)
        self.residual = stride == 1 and width == stage.width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(pictures, width, edge, edge) into the stage's width."""
        y = x if self.expand is None else functional.relu6(self.expand(x))
        y = self.project(functional.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's `SAME` padding: what is odd goes to the right and below."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(pictures, channels, edge, edge); the edge is divided by the stride, rounded up."""
        edge, kernel, stride = x.shape[-1], self.kernel_size[0], self.stride[0]
        total = max((-(-edge // stride) - 1) * stride + kernel - edge, 0)
        if total % 2:
            x = functional.pad(x, (total // 2, total - total // 2) * 2)
            total = 0
        return functional.conv2d(
            x, self.weight, self.bias, self.stride, total // 2, groups=self.groups
        )


def load_encoder(folder: Path, device: torch.device) -> Encoder:
    """The encoder in `folder`, frozen; its hash is that of its weights.

    Raises:
        ModelRefused: the folder holds no such encoder.
    """
    try:
        config = EncoderConfig.model_validate_json((folder / CONFIG).read_bytes())
        if config.grid**2 != config.rows:
            raise ValueError(f"its {config.rows} rows are not the {config.grid**2} of its sizes")
        encoder = Encoder(config, base_hash(folder))
        encoder.load_state_dict(load_file(folder / WEIGHTS))
    except ValidationError as error:
        raise _refused(folder, error.errors(include_url=False)[0]["msg"]) from None
    except (OSError, ValueError, RuntimeError, SafetensorError, AdapterError) as error:
        raise _refused(folder, error) from error
    # As the base's weights: where torch would allocate them, so that kernels round alike.
    for parameter in encoder.parameters():
        parameter.data = parameter.data.clone()
    return encoder.to(device)


def _refused(folder: Path, reason: object) -> ModelRefused:
    return ModelRefused(
        f"the picture encoder in {folder.name} cannot be loaded ({' '.join(str(reason).split())}); "
        "set serving.encoder to a folder that `listune fetch` brought"
    )
