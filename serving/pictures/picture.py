"""What is seen of a picture: a small JPEG of ours, known by the hash of its bytes."""

import hashlib
import io
import re
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
MAX_SEGMENTS = 1000
"""Segments before a JPEG's first scan: Pillow reads them one by one, and four bytes are one."""

_START_OF_SCAN = b"\xff\xda"
# After what little of junk and filling cameras leave before a marker, as decoders let pass.
_SEGMENT = re.compile(
    rb"[^\xff]{0,100}\xff{1,16}([\xc0-\xc7\xc9-\xcf\xda-\xef\xfe])(..)", re.DOTALL
)


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

        if reason := costly(self.data):
            raise ValueError(reason)
        with Image.open(io.BytesIO(self.data), formats=("JPEG",)) as image:
            if max(image.size) > MAX_EDGE:
                raise ValueError(f"it has more than {MAX_EDGE:,} pixels an edge")
            return image.convert("RGB")


def costly(jpeg: bytes) -> str:
    """What makes it cost out of all proportion to open and decode `jpeg`; empty where nothing does.

    Its pixels are not looked at.
    """
    if jpeg.count(_START_OF_SCAN) > MAX_SCANS:
        return f"it is a JPEG of more than {MAX_SCANS} scans"
    at = 2
    for _ in range(MAX_SEGMENTS):
        segment = _SEGMENT.match(jpeg, at)
        if segment is None:
            return "it is no JPEG, or one whose header is broken"
        if segment[1] == _START_OF_SCAN[1:]:
            return ""
        at = segment.end(1) + max(2, int.from_bytes(segment[2], "big"))
    return f"it is a JPEG of more than {MAX_SEGMENTS:,} segments"
