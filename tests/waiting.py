"""Waiting for what another process or thread will do, in place of a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LONG_S = 240.0
"""Longer than anything here takes: it ends a test that waits in vain, and judges no machine."""


def wait_for(
    ask: Callable[[], T | None],
    timeout_s: float = LONG_S,
    *,
    meanwhile: type[Exception] | tuple[type[Exception], ...] = (),
    pause_s: float = 0.05,
) -> T:
    """The first true answer of `ask`; fails the test where none comes in time.

    meanwhile: errors that count as no answer yet, since a server may still be starting. What asking
    costs of a core is left free in between: whoever is waited for needs it.
    """
    end = time.monotonic() + timeout_s
    answer: object = None
    while True:
        began = time.process_time()
        try:
            if answer := ask():
                return answer
        except meanwhile as error:
            answer = error
        assert time.monotonic() < end, f"waited in vain; the last answer was {answer!r}"
        time.sleep(min(max(pause_s, time.process_time() - began), 1.0))
