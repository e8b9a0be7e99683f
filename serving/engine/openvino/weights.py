"""The graph's weights, where they are many in a file without a name that is mapped into memory.

OpenVINO casts and packs weights at the first pass and keeps the originals: twice the memory, three
times in bf16. Those in a mapped file need none once they have been read; should OpenVINO read one
again, or another graph be made of them, it comes back from the file. The file vanishes with the
last mapping.
"""

import mmap
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import torch
from openvino import opset13 as op

from serving.engine.lora import Pair
from serving.engine.openvino.support import Unsuited

SMALL = 1 << 16
"""Bytes; what is smaller stays in memory."""


class Constants(Protocol):
    """Where a graph gets its weights from."""

    def constant(self, name: str, *parts: torch.Tensor) -> Any:
        """The weights called `name`: `parts`, one below the other, in fp32."""
        ...


class Weights:
    """Makes constants of weights. A context manager: afterwards only those can be had again."""

    def __init__(self, folder: Path | None = None) -> None:
        """With a file in `folder`; None keeps them in memory.

        Raises:
            Unsuited: it cannot be written.
        """
        self._arrays: dict[str, np.ndarray] = {}
        self._maps: list[mmap.mmap] = []
        self._end = 0
        self._folder = folder
        self._file: IO[bytes] | None = None
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # see __exit__
        except OSError as error:
            raise self._unwritable(error) from None

    def __enter__(self) -> "Weights":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            # What a full disk did not take is still in the buffer, and has been told of.
            with suppress(OSError):
                self._file.close()

    def constant(self, name: str, *parts: torch.Tensor) -> Any:
        """See `Constants`: those that were made already, or these; cast as they are packed.

        Raises:
            Unsuited: the file cannot be written.
        """
        if name not in self._arrays:
            array = torch.cat([part.detach().float() for part in parts]).numpy()
            self._arrays[name] = self._kept(array)
        return op.constant(self._arrays[name], shared_memory=True)

    def array(self, name: str) -> np.ndarray:
        """Weights that were made."""
        return self._arrays[name]

    def let_go(self) -> None:
        """Leave the memory to others until something is read again."""
        for one in self._maps:
            one.madvise(mmap.MADV_DONTNEED)

    def _kept(self, array: np.ndarray) -> np.ndarray:
        if self._file is None or array.nbytes < SMALL:
            return array
        try:
            return self._mapped(self._file, array)
        except OSError as error:
            raise self._unwritable(error) from None

    def _mapped(self, file: IO[bytes], array: np.ndarray) -> np.ndarray:
        file.seek(self._end)
        file.write(array.data)
        file.flush()
        made = mmap.mmap(file.fileno(), array.nbytes, offset=self._end)
        self._maps.append(made)
        self._end += -(-array.nbytes // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        return np.frombuffer(made, array.dtype).reshape(array.shape)

    def _unwritable(self, error: OSError) -> Unsuited:
        return Unsuited(
            f"its weights cannot be written to {self._folder} ({error.strerror}); make room there, "
            "or set serving.adapter_store to a folder on another disk"
        )


class Merged:
    """The weights of a base with an adapter in them."""

    def __init__(self, base: Weights, own: Weights, pairs: Mapping[str, Pair]) -> None:
        """`base` with what `pairs` add to the weights of those names, which are kept in `own`."""
        self._base = base
        self._own = own
        self._pairs = pairs

    def constant(self, name: str, *parts: torch.Tensor) -> Any:
        """See `Constants`."""
        if name not in self._pairs:
            return self._base.constant(name, *parts)
        a, b = self._pairs[name]
        return self._own.constant(name, torch.from_numpy(self._base.array(name)) + (a @ b).t())
