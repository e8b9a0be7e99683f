"""How far an experiment is: one bar over all its work, with the time left.

Work is counted in listings: one trained and one answered take about as long. What is found ready
is taken off the total instead of being counted as done, so that the time left is that of the work
that is really left.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from infra.progress import bar


class Work:
    """The bar; made by `shown_on`."""

    def __init__(self, console: Console, total: int) -> None:
        self._bar = bar(console)
        self._task = self._bar.add_task("experiment", total=total)
        self._left = total

    @classmethod
    @contextmanager
    def shown_on(cls, console: Console, total: int) -> "Iterator[Work]":
        """A bar over `total` listings, drawn on `console` until the context ends."""
        work = cls(console, total)
        with work._bar:
            yield work

    def at(self, what: str) -> None:
        """What is worked on now, in a few words."""
        self._bar.update(self._task, description=what)

    def done(self, listings: int = 1) -> None:
        """So many listings more have been trained on or answered."""
        self._bar.advance(self._task, listings)

    def spared(self, listings: int) -> None:
        """So many listings were ready already, or are not needed."""
        self._left = max(self._left - listings, 0)
        self._bar.update(self._task, total=self._left)
