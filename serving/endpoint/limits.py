"""How often an endpoint is asked, and whether at all. Plain state that is told the time, in seconds
of a clock that never goes back; whoever uses it from several threads holds a lock."""


class TokenBucket:
    """At most `rate` a second, with bursts of what a second allows, and of one at least."""

    def __init__(self, rate: float) -> None:
        """`rate` 0 is no limit."""
        self._rate = rate
        self._most = max(rate, 1.0)
        self._tokens = self._most
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Whether one more may go now; it is counted if so."""
        if not self._rate:
            return True
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class CircuitBreaker:
    """Opens after so many failures in a row. After a pause one attempt, the probe, goes through: it
    closes the circuit, or opens it for another pause."""

    def __init__(self, failures_to_open: int, open_s: float) -> None:
        self._failures_to_open = failures_to_open
        self._open_s = open_s
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether it is open, a probe under way or not."""
        return self._open_until is not None

    def admits(self, now: float) -> bool:
        """Whether an attempt may begin now."""
        return self._open_until is None or (now >= self._open_until and not self._probing)

    def begin(self) -> None:
        """An attempt that `admits` allows begins; `succeeded` or `failed` must follow."""
        self._probing = self.is_open

    def succeeded(self) -> None:
        """An attempt has brought an answer."""
        self._failures, self._open_until, self._probing = 0, None, False

    def failed(self, now: float) -> bool:
        """An attempt has brought none; whether the circuit opens by it, for the first time."""
        self._failures += 1
        opens = not self.is_open and self._failures >= self._failures_to_open
        if opens or self._probing:
            self._open_until = now + self._open_s
        self._probing = False
        return opens
