"""What a source has and a schema cannot say, counted by reason, with the first of each."""

from collections import Counter


class LeftOut:
    """Counts of what was left out or changed, by what it is and why.

    A kind is `category`, `attribute`, `value`, `condition` or `limit`; a reason is part of a
    sentence: `is inactive`.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.first: dict[tuple[str, str], str] = {}

    def note(self, kind: str, reason: str, example: str, times: int = 1) -> None:
        """Count `times` more of `kind` for `reason`; the first `example` is kept."""
        if times:
            self.counts[kind, reason] += times
            self.first.setdefault((kind, reason), example)
