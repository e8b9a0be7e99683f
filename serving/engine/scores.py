"""Log probabilities of a pass out of its logits: see `serving.engine.backend.Scores`."""

import torch

# A vocabulary is long: more rows of logits at once would leave a CPU's caches.
LOGIT_ROWS = 32


class LogProbabilities:
    """The log probabilities of a pass."""

    def __init__(self, logits: torch.Tensor) -> None:
        """`logits` (rows, vocabulary)."""
        self._logits = logits
        self._best: list[int] = []
        self._values: list[float] = []
        self._totals: list[float] = []  # what a logit less is its log probability
        for scores in (part.float() for part in logits.split(LOGIT_ROWS)):
            if scores.device.type == "cpu":
                # NumPy's argmax is some ten times faster than PyTorch's on a CPU.
                best = torch.from_numpy(scores.numpy().argmax(-1))
            else:
                best = scores.argmax(-1)
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
        scores = self._logits[row].float().cpu().numpy()[tokens]
        best = int(scores.argmax())
        return tokens[best], float(scores[best]) - self._totals[row]
