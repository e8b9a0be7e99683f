"""What survives a kill in the middle of a training: a checkpoint, and the losses so far."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from serving.process.files import write_file


@dataclass(frozen=True)
class Saved:
    """A place in a training: `step` steps are done."""

    step: int
    dtype: torch.dtype  # measured at the start; measured again it might come out otherwise
    tensors: Mapping[str, torch.Tensor]
    optimizer: dict[str, Any]


class Checkpoint:
    """The last resumable place of one training.

    Learning rate, order of the data and random state are functions of the step, so adapter,
    optimizer and step are all there is to keep.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        """`fingerprint` tells this training from others; another's checkpoint is not used."""
        self._path = path
        self._fingerprint = fingerprint

    def save(self, place: Saved) -> None:
        """Keep `place` instead of the one before."""
        buffer = io.BytesIO()
        torch.save({"fingerprint": self._fingerprint, **vars(place)}, buffer)
        write_file(self._path, buffer.getvalue())

    def load(self) -> Saved | None:
        """The place to go on from, its tensors on the CPU, or None to begin."""
        if not self._path.exists():
            return None
        state = torch.load(self._path, map_location="cpu", weights_only=True)
        if state.pop("fingerprint") != self._fingerprint:
            return None
        return Saved(**state)


class LossLog:
    """One JSON object a step, for the report's loss figure."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, steps: int) -> list[dict[str, Any]]:
        """Drop what was logged after step `steps`, and return the rest."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        kept = lines[:steps]
        write_file(self._path, "".join(line + "\n" for line in kept).encode())
        return [json.loads(line) for line in kept]

    def append(self, entry: Mapping[str, Any]) -> None:
        """Log one step."""
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
