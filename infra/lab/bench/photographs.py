"""Photographs that are made up: for benchmarks, which look at nobody's pictures.

A few large blots of colour, with grain that makes a file as long as a camera's. The same seed and
size give the same pixels.
"""

import io
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from PIL import Image

NONE, NEW, KEPT = "none", "new", "kept"
PICTURED = {
    NONE: "without a picture",
    NEW: "with a new picture",
    KEPT: "with one whose features are kept",
}
"""The kinds of listings with and without a picture, which benchmarks compare."""

BLOTS = (12, 16)
GRAIN = 3.0
"""Standard deviation, of 255: a JPEG of 12 megapixels is then about 3 MB."""


def photograph(seed: int, width: int, height: int, grain: float = GRAIN) -> Image.Image:
    """A picture in RGB of `width` x `height` pixels."""
    generator = np.random.default_rng(seed)
    blots = Image.fromarray(generator.integers(0, 256, (*BLOTS, 3), dtype=np.uint8))
    pixels = np.asarray(blots.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    if grain:
        pixels = pixels + grain * generator.standard_normal((height, width, 1), dtype=np.float32)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """The file of `image` in the format `form`."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def sent(edge: int) -> Iterator[bytes]:
    """JPEGs as the predict worker sends them, `edge` px long, no two the same."""
    for seed in count(1):
        picture = photograph(seed, edge, edge * 3 // 4)
        yield saved(picture, "JPEG", quality=90, subsampling="4:4:4")
