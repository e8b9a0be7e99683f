"""What is seen of a picture: a small JPEG of ours, known by the hash of its bytes."""

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Picture:
    """A JPEG that `serving.pictures.checking` made; the engine gets its bytes as they are."""

    data: bytes

    @cached_property
    def sha256(self) -> str:
        """Its identity: 64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    def pixels(self) -> "Image.Image":
        """The picture decoded, in RGB."""
        from PIL import Image

        with Image.open(io.BytesIO(self.data), formats=("JPEG",)) as image:
            return image.convert("RGB")
