"""Log probabilities of a pass out of its logits: see `serving.engine.backend.Scores`."""

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

    def best_of(self, row: int, tokens: list[int]) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        scores = self._logits[row].float().numpy()[tokens]
        best = int(scores.argmax())
        return tokens[best], float(scores[best]) - self._totals[row]


LIKELY = 64
"""Tokens of a row that a device hands over: more rows than not have a legal one among them."""


class CopiedOnce:
    """The log probabilities of a pass on a device with memory of its own: one copy from there.

    What comes over is each row's `LIKELY` most probable tokens. The best of given tokens is the
    first of them that is among these; where none is, the row is looked at again, on the device.
    """

    def __init__(self, logits: torch.Tensor) -> None:
        """`logits` (rows, vocabulary)."""
        self.logits = logits
        scores = logits.float()
        values, tokens = scores.topk(min(LIKELY, scores.shape[1]), dim=-1)
        # The ids travel as fp64 beside the numbers, which hold them exactly.
        totals = scores.logsumexp(-1, keepdim=True)
        sent = torch.cat([part.double() for part in (totals, values, tokens)], -1)
        received = sent.cpu().numpy()
        count = values.shape[1]
        self._totals = received[:, 0]
        self._values = received[:, 1 : count + 1]
        self._tokens = received[:, count + 1 :].astype(np.int64)

    def best(self, row: int) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        return int(self._tokens[row, 0]), float(self._values[row, 0] - self._totals[row])

    def best_of(self, row: int, tokens: list[int]) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        found = np.flatnonzero(np.isin(self._tokens[row], tokens))
        if len(found):
            place = found[0]
            return int(self._tokens[row, place]), float(
                self._values[row, place] - self._totals[row]
            )
        asked = torch.tensor(tokens, device=self.logits.device)
        value, place = self.logits[row, asked].float().max(-1)
        return tokens[int(place)], float(value) - float(self._totals[row])


def scored(logits: torch.Tensor) -> LogProbabilities | CopiedOnce:
    """The log probabilities of `logits`, in the way of the device on which they are."""
    return LogProbabilities(logits) if logits.device.type == "cpu" else CopiedOnce(logits)
