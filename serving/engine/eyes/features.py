"""What frozen eyes make of a picture, and what every kind of eyes promises."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from PIL import Image

from serving.engine.seen import Seen
from serving.errors import Refused
from serving.pictures.picture import Picture
from serving.prompt import PictureTokens, Trunk


@dataclass(frozen=True)
class Features:
    """One picture as a model's eyes see it.

    `rows` (n, width), one for each of `tokens.rows`: embeddings as they are, where width is the
    model's own, or what a projector makes embeddings of. `deep`, each (n, hidden), is added after
    the first layers (`serving.engine.seen`).
    """

    tokens: PictureTokens
    rows: torch.Tensor
    deep: tuple[torch.Tensor, ...] = ()

    @property
    def nbytes(self) -> int:
        """Of all tensors."""
        return self.rows.nbytes + sum(layer.nbytes for layer in self.deep)


class Eyes(Protocol):
    """Frozen eyes of a base model, or beside it. For several threads."""

    projected: bool
    """Whether rows need a projector, which is part of the adapter."""

    def see(self, pictures: Sequence[Picture]) -> list[Features]:
        """The features of each; kept by content, so that a picture is computed once.

        Raises:
            Refused: one is no picture.
        """
        ...


def pixels_of(picture: Picture) -> Image.Image:
    """`picture` in RGB.

    Raises:
        Refused: it is none.
    """
    try:
        return picture.pixels()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refused(f"a picture cannot be read ({error}); send it as a JPEG file") from None


def seen_in(trunk: Trunk, pictures: Sequence[Features]) -> Seen | None:
    """What `pictures`, in the trunk's order, put into its rows; None where there are none."""
    if not pictures:
        return None
    rows, deep = stacked(pictures)
    return Seen(torch.tensor(trunk.seen, dtype=torch.long), rows, deep)


def stacked(pictures: Sequence[Features]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """`rows` and each of `deep` of all `pictures`, at least one, one after the other."""
    return (
        torch.cat([picture.rows for picture in pictures]),
        tuple(torch.cat(layer) for layer in zip(*(p.deep for p in pictures), strict=True)),
    )
