"""What one adapter did for the sellers."""

from dataclasses import dataclass, field


@dataclass
class Served:
    """What one adapter did for the sellers: the live predictions, and what they kept of them."""

    latencies_ms: list[float] = field(default_factory=list)
    shown: int = 0
    accepted: int = 0

    @property
    def acceptance(self) -> float | None:
        """Values accepted unchanged over values suggested; None where none was suggested."""
        return self.accepted / self.shown if self.shown else None
