"""Two bounds on a number."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """From `low` to `high`, both included."""

    low: float
    high: float

    def clipped(self, low: float, high: float) -> "Bounds":
        """The part that lies from `low` to `high`."""
        return Bounds(min(max(self.low, low), high), max(min(self.high, high), low))
