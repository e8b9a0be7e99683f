"""Log probabilities of a pass out of its logits: see `serving.engine.backend.Scores`."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch

# A vocabulary is long: more rows of logits at once would leave a CPU's caches.
LOGIT_ROWS = 32


class LogProbabilities:
    """The log probabilities of a pass on a CPU."""

    def __init__(self, logits: torch.Tensor) -> None:
        """`logits` (rows, vocabulary)."""
        self._logits = logits
        self._best: list[int] = []
        self._values: list[float] = []
        self._totals: list[float] = []  # what a logit less is its log probability
        for scores in (part.float() for part in logits.split(LOGIT_ROWS)):
            # NumPy's argmax is some ten times faster than PyTorch's on a CPU.
            best = torch.from_numpy(scores.numpy().argmax(-1))
            top = scores.gather(1, best[:, None])
            # In place, where the logits are fp32 and so are these scores, would spoil them.
            spread = (scores - top).exp_().sum(-1).log_()
            self._best += best.tolist()
            self._values += (-spread).tolist()
            self._totals += (top[:, 0] + spread).tolist()

    @property
    def logits(self) -> torch.Tensor:
        """See `serving.engine.backend.Scores`."""
        return self._logits

    def best(self, row: int) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        return self._best[row], self._values[row]

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
