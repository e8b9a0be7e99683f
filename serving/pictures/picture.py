"""A picture as it is seen: a small JPEG of ours."""

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Picture:
    """The bytes of a small JPEG; `sha256` of them is its identity everywhere."""

    data: bytes

    @cached_property
    def sha256(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    def pixels(self) -> "Image":
        """The picture in RGB."""
        from PIL import Image

        with Image.open(io.BytesIO(self.data), formats=["JPEG"]) as opened:
            return opened.convert("RGB")
