"""What is seen of a picture: a small JPEG of ours, known by the hash of its bytes."""

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

MOST_PICTURES = 16
"""Of a listing (`serving.pictures`)."""
MAX_EDGE = 2048
"""Pixels of the longer edge of the largest picture of ours (`serving.picture_edge`)."""
MAX_BYTES = 3 * MAX_EDGE**2
"""No picture of ours has more: as a JPEG even noise is smaller than its colours."""
MAX_SCANS = 50
"""Scans of a JPEG: a progressive one has about ten, and a few bytes of a scan cost a whole pass."""

START_OF_SCAN = b"\xff\xda"


@dataclass(frozen=True)
class Picture:
    """A JPEG that `serving.pictures.checking` made; the engine gets its bytes as they are."""

    data: bytes

    @cached_property
    def sha256(self) -> str:
        """Its identity: 64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    def pixels(self) -> "Image.Image":
        """The picture decoded, in RGB. What costs more than one of ours is not decoded.

        Raises:
            ValueError, OSError, SyntaxError, PIL.Image.DecompressionBombError: it is none of ours.
        """
        from PIL import Image

        if self.data.count(START_OF_SCAN) > MAX_SCANS:
            raise ValueError(f"it has more than {MAX_SCANS} scans")
        with Image.open(io.BytesIO(self.data), formats=("JPEG",)) as image:
            if max(image.size) > MAX_EDGE:
                raise ValueError(f"it has more than {MAX_EDGE:,} pixels an edge")
            return image.convert("RGB")
