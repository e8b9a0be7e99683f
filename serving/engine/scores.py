"""Log probabilities of a pass out of its logits: see `serving.engine.backend.Scores`."""

from collections.abc import Callable, Iterator
from functools import cached_property
from math import log

import numpy as np
import torch


class LogProbabilities:
    """The log probabilities of a pass on a CPU."""

    def __init__(self, logits: torch.Tensor) -> None:
        """`logits` (rows, vocabulary)."""
        self._logits = logits
        self._best: list[int] = []
        self._values: list[float] = []
        self._totals: list[float] = []  # what a logit less is its log probability
        # A row at a time stays in a core's cache, and NumPy's operations on one are twice as fast
        # as PyTorch's. In place in the logits they would spoil them.
        spread = np.empty(logits.shape[1], np.float32)
        for row in logits:
            scores = row.float().numpy()
            best = int(scores.argmax())
            np.subtract(scores, scores[best], out=spread)
            total = log(np.exp(spread, out=spread).sum())
            self._best.append(best)
            self._values.append(-total)
            self._totals.append(float(scores[best]) + total)

    @property
    def logits(self) -> torch.Tensor:
        """See `serving.engine.backend.Scores`."""
        return self._logits

    def best(self, row: int) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        return self._best[row], self._values[row]

    def likely(self, row: int) -> Iterator[tuple[int, float]]:
        """See `serving.engine.backend.Scores`: the best one, since to order them takes longer."""
        yield self.best(row)

    def best_of(self, row: int, tokens: list[int]) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        scores = self._logits[row].float().numpy()[tokens]
        best = int(scores.argmax())
        return tokens[best], float(scores[best]) - self._totals[row]


LIKELY = 64
"""Tokens of a row that a device hands over: more rows than not have a legal one among them."""


def summary(logits: torch.Tensor) -> torch.Tensor:
    """(rows, 1 + 2 * LIKELY) fp64: a row's normaliser, its most probable tokens' logits, their ids.

    Ids travel as numbers that hold them exactly.
    """
    scores = logits.float()
    values, tokens = scores.topk(min(LIKELY, scores.shape[1]), dim=-1)
    totals = scores.logsumexp(-1, keepdim=True)
    return torch.cat([part.double() for part in (totals, values, tokens)], -1)


def begin_copy(there: torch.Tensor) -> Callable[[], np.ndarray]:
    """Have a device copy `there` once it is computed; what is given waits for that."""
    if there.device.type != "cuda":
        return lambda: there.cpu().numpy()
    here = torch.empty(there.shape, dtype=there.dtype, pin_memory=True)
    here.copy_(there, non_blocking=True)
    done = torch.cuda.Event()
    done.record()

    def waited() -> np.ndarray:
        done.synchronize()
        return here.numpy()

    return waited


class CopiedOnce:
    """The log probabilities of a pass on a device with memory of its own: one copy from there.

    What comes over is each row's `LIKELY` most probable tokens. The best of given tokens is the
    first of them that is among these; where none is, the row is looked at again, on the device.
    """

    def __init__(self, logits: torch.Tensor, summed_up: torch.Tensor | None = None) -> None:
        """`logits` (rows, vocabulary), and their `summary` where there is one already.

        They may still be computed: whoever asks first waits for them.
        """
        self.logits = logits
        self._copied = begin_copy(summary(logits) if summed_up is None else summed_up)

    def best(self, row: int) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        return self._best[row]

    def likely(self, row: int) -> Iterator[tuple[int, float]]:
        """See `serving.engine.backend.Scores`: `LIKELY` of them."""
        yield self._best[row]
        totals, values, ids = self._received
        others = ids[row, 1:].tolist(), (values[row, 1:] - totals[row]).tolist()
        yield from zip(*others, strict=True)

    def best_of(self, row: int, tokens: list[int]) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        totals, values, ids = self._received
        found = np.flatnonzero(np.isin(ids[row], tokens))
        if len(found):
            place = found[0]
            return int(ids[row, place]), float(values[row, place] - totals[row])
        asked = torch.tensor(tokens, device=self.logits.device)
        value, place = self.logits[row, asked].float().max(-1)
        return tokens[int(place)], float(value) - float(totals[row])

    @cached_property
    def _received(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normalisers (rows,), and of the likely tokens logits and ids (rows, likely)."""
        received = self._copied()
        count = received.shape[1] // 2
        ids = received[:, count + 1 :].astype(np.int64)
        return received[:, 0], received[:, 1 : count + 1], ids

    @cached_property
    def _best(self) -> list[tuple[int, float]]:
        totals, values, ids = self._received
        return list(zip(ids[:, 0].tolist(), (values[:, 0] - totals).tolist(), strict=True))


def scored(logits: torch.Tensor) -> LogProbabilities | CopiedOnce:
    """The log probabilities of `logits`, in the way of the device on which they are."""
    return LogProbabilities(logits) if logits.device.type == "cpu" else CopiedOnce(logits)
