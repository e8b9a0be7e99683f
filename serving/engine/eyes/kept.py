"""What eyes made of pictures, in memory by content: a picture is computed once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from serving.engine.eyes.features import Features
from serving.pictures.picture import Picture

MOST_BYTES = 256 << 20
"""Of features: 2,000 pictures of EfficientNet-Lite0, whose 49 x 1,280 numbers are kept as fp16."""


class KeptFeatures:
    """Features by a picture's SHA-256; those of the picture used longest ago go first.

    Each picture goes through the eyes alone, so what is seen of it does not depend on what came
    before or stands beside it. Safe for several threads: two that ask for one picture at once both
    compute it.
    """

    def __init__(
        self, compute: Callable[[Picture], Features], most_bytes: int = MOST_BYTES
    ) -> None:
        """`compute` is what the eyes make of a picture, with tensors on the CPU."""
        self.computed = 0
        """How many pictures went through the eyes."""
        self._compute = compute
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, Features] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def see(self, pictures: Sequence[Picture]) -> list[Features]:
        """The features of each; raises what `compute` raises."""
        return [self._of(picture) for picture in pictures]

    def _of(self, picture: Picture) -> Features:
        with self._lock:
            if picture.sha256 in self._kept:
                self._kept.move_to_end(picture.sha256)
                return self._kept[picture.sha256]
        features = self._compute(picture)
        with self._lock:
            self.computed += 1
            if picture.sha256 not in self._kept:
                self._kept[picture.sha256] = features
                self._bytes += features.nbytes
            while self._bytes > self._most_bytes:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return features
