"""A picture as one vector: the mean of what a frozen encoder makes of its places."""

from pathlib import Path

import torch

from serving.engine.eyes.encoder import load_encoder
from serving.pictures.picture import Picture
from trainer.judging.intervals import Floats


class EncoderVectors:
    """Makes vectors of pictures; may be used from several threads."""

    def __init__(self, folder: Path) -> None:
        """Load the encoder in `folder`, as `serving.encoder` names it.

        Raises:
            ModelRefused: there is none.
        """
        self._encoder = load_encoder(folder, torch.device("cpu"))
        self.hash = self._encoder.hash

    def __call__(self, picture: Picture) -> Floats:
        """The vector of `picture`, shape (features,)."""
        features = self._encoder.features([picture.pixels()])[0]
        return features.mean(dim=0).double().numpy()
