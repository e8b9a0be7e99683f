"""The eyes that a vision-language base has of its own: SmolVLM, InternVL, FastVLM and Qwen3-VL.

A picture is prepared by the model's own image processor in its Pillow form, which needs no
torchvision, goes through the model's own `get_image_features`, and stands in the trunk between the
special tokens that the model's own processor writes around it.

It is one tile and never split: SmolVLM's of 512 px has 64 rows, InternVL's of 448 px 256, FastVLM's
of 1,024 px 256. A picture that was shrunk to `serving.picture_edge` has nothing that more tiles
would show. Qwen3-VL takes it in its own shape and has a row for each 32 x 32 px of it; those rows
have positions on three axes, and the text goes on after the longer edge.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from serving.engine.eyes.features import Features, pixels_of
from serving.engine.eyes.kept import MOST_BYTES, KeptFeatures
from serving.errors import ModelRefused
from serving.pictures.picture import Picture
from serving.prompt import PictureTokens, Position

SLENDER = 8
"""A picture longer than so many times its width is padded: some processors scale by the shorter
edge, and a line of 384 px would become a picture of gigabytes."""


@dataclass(frozen=True)
class Kind:
    """How a class of vision-language models takes a picture.

    `processor` is the module and the class in `transformers.models` that prepare it, called with
    the `options` of what was read from the folder; `before` and `after` are the tokens around it.
    """

    processor: tuple[str, str]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    options: Callable[[Any], dict[str, Any]] = lambda processor: {}


def whole(processor: Any) -> dict[str, Any]:
    """Options of SmolVLM's processor for a picture in one tile."""
    # Else it is first scaled up to where it would be split: 80 ms of a core for nothing.
    return {"do_image_splitting": False, "size": processor.max_image_size}


AROUND = (("<fake_token_around_image>", "<global-img>"), ("<fake_token_around_image>",))
"""A picture of SmolVLM's."""

BASES_WITH_EYES: Mapping[str, Kind] = {
    "smolvlm": Kind(
        ("smolvlm.image_processing_pil_smolvlm", "SmolVLMImageProcessorPil"), *AROUND, whole
    ),
    "idefics3": Kind(
        ("idefics3.image_processing_pil_idefics3", "Idefics3ImageProcessorPil"), *AROUND, whole
    ),
    "internvl": Kind(
        ("got_ocr2.image_processing_pil_got_ocr2", "GotOcr2ImageProcessorPil"),
        ("<img>",),
        ("</img>",),
        lambda own: {"crop_to_patches": False},
    ),
    "fast_vlm": Kind(("clip.image_processing_pil_clip", "CLIPImageProcessorPil")),
    "qwen3_vl": Kind(
        ("qwen2_vl.image_processing_pil_qwen2_vl", "Qwen2VLImageProcessorPil"),
        ("<|vision_start|>",),
        ("<|vision_end|>",),
    ),
}
"""Classes of transformers by `model_type`; SmolVLM is of `idefics3`, SmolVLM2 of its own."""


class BaseEyes:
    """`serving.engine.eyes.features.Eyes` of a vision-language model."""

    projected = False

    def __init__(
        self, model: Any, folder: Path, tokenizer: Any, edge: int, most_bytes: int = MOST_BYTES
    ) -> None:
        """Those of `model`, which was read from `folder`; pictures are shrunk to `edge` px.

        Raises:
            ModelRefused: the folder lacks the settings of its image processor, or the tokenizer a
                token that stands around a picture.
        """
        config = model.config
        kind = BASES_WITH_EYES[config.model_type]
        known = tokenizer.get_vocab()
        missing = [token for token in (*kind.before, *kind.after) if token not in known]
        if missing:
            raise ModelRefused(
                f"the tokenizer in {folder.name} lacks {missing[0]}, which stands beside a picture "
                f"of a {config.model_type} model; take the model's folder as it was published"
            )
        self._prepare = read_processor(kind, folder)
        self._before = tuple(known[token] for token in kind.before)
        self._after = tuple(known[token] for token in kind.after)
        self._row: int = config.image_token_id
        self._merge: int = getattr(config.vision_config, "spatial_merge_size", 1)
        self._edge = edge
        self._model = model
        body = model.get_decoder()
        self._parts = [part for part in model.base_model.children() if part is not body]
        self.kept = KeptFeatures(self._compute, most_bytes)

    def see(self, pictures: Sequence[Picture]) -> list[Features]:
        """The features of each, in the model's number type.

        Raises:
            Refused: one is no picture.
        """
        return self.kept.see(pictures)

    def inputs(self, picture: Picture) -> dict[str, torch.Tensor]:
        """What the whole model takes of `picture` beside the token ids.

        Raises:
            Refused: it is no picture.
        """
        pixels = pixels_of(picture)
        pixels.thumbnail((self._edge, self._edge))
        inputs = self._prepare(padded(pixels))
        inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
        return {name: tensor.to(self._model.device) for name, tensor in inputs.items()}

    @torch.no_grad()
    def _compute(self, picture: Picture) -> Features:
        inputs = self.inputs(picture)
        for part in self._parts:
            part.eval()  # whoever trains the model sets all of it to training
        seen = self._model.get_image_features(**inputs, return_dict=True)
        rows = torch.cat(list(seen.pooler_output)).cpu()
        deep = tuple(layer.cpu() for layer in getattr(seen, "deepstack_features", None) or ())
        grid = inputs.get("image_grid_thw")
        if grid is None:
            tokens = in_line(self._before, [self._row] * len(rows), self._after)
        else:
            _, height, width = (grid[0] // self._merge).tolist()
            tokens = in_grid(self._before, self._row, (height, width), self._after)
        return Features(tokens, rows, deep)


def read_processor(kind: Kind, folder: Path) -> Callable[[Image.Image], dict[str, torch.Tensor]]:
    """The image processor with the settings in `folder`: one picture into a model's inputs.

    Raises:
        ModelRefused: the folder has none that can be read.
    """
    module, name = kind.processor
    processor = getattr(import_module(f"transformers.models.{module}"), name)
    try:
        own = processor.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ModelRefused(
            f"the image processor in {folder.name} cannot be loaded ({error}); take the model's "
            "folder as it was published"
        ) from error
    options = kind.options(own)

    def prepare(pixels: Image.Image) -> dict[str, torch.Tensor]:
        made = own(pixels, return_tensors="pt", **options)
        return {name: made[name] for name in own.model_input_names if name in made}

    return prepare


def in_line(before: Sequence[int], rows: Sequence[int], after: Sequence[int]) -> PictureTokens:
    """A picture whose rows stand one after the other, as text does."""
    ids = (*before, *rows, *after)
    places = range(len(before), len(before) + len(rows))
    return PictureTokens(ids, tuple(places), range(len(ids)), len(ids))


def in_grid(
    before: Sequence[int], row: int, grid: tuple[int, int], after: Sequence[int]
) -> PictureTokens:
    """A picture whose rows have positions on three axes: time, height and width.

    As `Qwen3VLModel.get_rope_index` of transformers counts: a picture has one time, and the text
    after it begins one further than the highest number in it.
    """
    height, width = grid
    start = len(before)
    end = start + max(height, width)
    positions: list[Position] = [
        *range(start),
        *((start, start + y, start + x) for y in range(height) for x in range(width)),
        *range(end, end + len(after)),
    ]
    ids = (*before, *[row] * (height * width), *after)
    places = tuple(range(start, start + height * width))
    return PictureTokens(ids, places, tuple(positions), end + len(after))


def padded(pixels: Image.Image) -> Image.Image:
    """`pixels`, with black beside it where it is more slender than 1 to `SLENDER`."""
    width, height = pixels.size
    wide, high = max(width, -(-height // SLENDER)), max(height, -(-width // SLENDER))
    if (wide, high) == (width, height):
        return pixels
    whole = Image.new("RGB", (wide, high))
    whole.paste(pixels)
    return whole
