"""How a frozen encoder's features stand in the trunk of a base that has no eyes of its own.

A picture is `rows` rows in reading order, without anything around them. All of them take the
position of the text that follows and do not push it: the text's own positions are those that it
has without a picture, and where a row is in the picture is for the projector to tell.
"""

from collections.abc import Sequence

from serving.engine.eyes.encoder import Encoder
from serving.engine.eyes.features import Features, pixels_of
from serving.engine.eyes.kept import MOST_BYTES, KeptFeatures
from serving.pictures.picture import Picture
from serving.projector import Sight
from serving.prompt import PictureTokens


class EncoderEyes:
    """`serving.engine.eyes.features.Eyes` of an encoder; an adapter's projector does the rest."""

    projected = True

    def __init__(self, encoder: Encoder, hidden: int, most_bytes: int = MOST_BYTES) -> None:
        """In front of a base with `hidden` numbers a row."""
        config = encoder.config
        self.sight = Sight(
            encoder=config.name,
            encoder_hash=encoder.hash,
            features=config.features,
            rows=config.rows,
            hidden=hidden,
        )
        places = tuple(range(config.rows))
        self._tokens = PictureTokens(
            ids=(0,) * config.rows, rows=places, positions=(0,) * config.rows, advance=0
        )
        self._encoder = encoder
        self.kept = KeptFeatures(self._compute, most_bytes)

    def see(self, pictures: Sequence[Picture]) -> list[Features]:
        """The features of each: (rows, features) in fp16, which is what is kept.

        Raises:
            Refused: one is no picture.
        """
        return self.kept.see(pictures)

    def _compute(self, picture: Picture) -> Features:
        pixels = pixels_of(picture)
        # As fp16 whether it was kept or not, so that everyone gets the same.
        return Features(self._tokens, self._encoder.features([pixels])[0].half().cpu())
