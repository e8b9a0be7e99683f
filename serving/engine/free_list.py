"""Which pages of a cache nobody holds, whatever a page is there; more are made as they run out."""

from abc import ABC, abstractmethod


class FreeList(ABC):
    """Pages by number; for one thread, but they may be given back from any."""

    def __init__(self, first: int, count: int) -> None:
        """Pages `first` to `count` - 1 are free."""
        self._free = list(range(count - 1, first - 1, -1))

    @property
    @abstractmethod
    def count(self) -> int:
        """How many there are."""

    @abstractmethod
    def _grow(self) -> None:
        """Make more."""

    @property
    def free(self) -> int:
        """How many nobody holds."""
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """`count` pages, whatever they held before."""
        while len(self._free) < count:
            before = self.count
            self._grow()
            self._free.extend(range(self.count - 1, before - 1, -1))
        return [self._free.pop() for _ in range(count)]

    def give(self, pages: list[int]) -> None:
        """Give pages back and empty the list."""
        # In one step: the last reference to a tree may be dropped in another thread.
        self._free.extend(pages)
        pages.clear()


def give_all(pages: FreeList, trunk: list[int], branches: list[list[int]]) -> None:
    """Give back what a tree holds."""
    for held in (trunk, *branches):
        pages.give(held)
