"""What an encoder sees, computed once per picture: a picture is its bytes.

Kept in memory as fp16, 125 kB a picture of EfficientNet-Lite0, whose features are 0 to 6. Whoever
asks gets what is kept, the first time too, and each picture goes through the encoder alone: so the
engine and the trainer get the same numbers, whatever came before or stands beside it.
"""

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Sequence

import torch
from PIL import Image

from serving.engine.eyes.encoder import Encoder
from serving.errors import Refused

MOST_BYTES = 256 << 20
"""Of features that are kept: 2,000 pictures of EfficientNet-Lite0."""


class FeatureCache:
    """An encoder that remembers what it saw; that of the picture used longest ago goes first.

    Safe for several threads: two that ask for one picture at once both compute it.
    """

    def __init__(self, encoder: Encoder, most_bytes: int = MOST_BYTES) -> None:
        self.encoder = encoder
        self.computed = 0
        """Pictures that went through the encoder."""
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, torch.Tensor] = OrderedDict()  # by SHA-256
        self._bytes = 0
        self._lock = threading.Lock()

    def features(self, pictures: Sequence[bytes]) -> torch.Tensor:
        """(pictures, rows, features), fp16, on the CPU, of pictures as files.

        Raises:
            Refused: one of them is no picture.
        """
        config = self.encoder.config
        if not pictures:
            return torch.empty(0, config.rows, config.features, dtype=torch.float16)
        return torch.stack([self._of(data) for data in pictures])

    def _of(self, data: bytes) -> torch.Tensor:
        name = hashlib.sha256(data).hexdigest()
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        seen = self.encoder.features([_pixels(data)])[0].half().cpu()
        with self._lock:
            self.computed += 1
            if name not in self._kept:
                self._kept[name] = seen
                self._bytes += seen.nbytes
            while self._bytes > self._most_bytes:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return seen


def _pixels(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data)).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refused(f"a picture cannot be read ({error}); send it as a JPEG file") from None
