"""Made-up pictures for tests, of one colour or of noise; and rows at random in place of what eyes
would see."""

import io

import numpy as np
import torch
from PIL import Image

from serving.engine.eyes.features import Features
from serving.pictures.picture import Picture
from serving.prompt import PictureTokens


def random_features(seed: int, rows: int, width: int, pushes: bool = True) -> Features:
    """A picture of `rows` rows, wrapped in a token on each side where it `pushes` the text on."""
    generator = torch.Generator().manual_seed(seed)
    wrap = (5,) if pushes else ()
    ids = (*wrap, *[0] * rows, *wrap)
    places = tuple(range(len(wrap), len(wrap) + rows))
    tokens = PictureTokens(ids, places, range(len(ids)), len(ids) if pushes else 0)
    return Features(tokens, torch.randn(rows, width, generator=generator))


def noise(seed: int, width: int = 40, height: int = 30) -> Picture:
    """A picture of coarse noise, every one another."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(file, "JPEG")
    return Picture(file.getvalue())


def plain(colour: str) -> Picture:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(file, "JPEG")
    return Picture(file.getvalue())
