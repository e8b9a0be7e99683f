"""Passes one after the other; where they overlap, of two halves of the trees by turns.

While a device computes the pass of one half, the host takes what came of the other's and begins its
next pass: so the device need not wait for Python, nor Python for the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.engine.backend import AnyBackend
from serving.engine.decoding import Begun, Cost, Tree, begin, end

WORTH_PARTING = 16
"""Passes of fewer trees cost a device about as much as one of all of them."""


@dataclass(frozen=True)
class Ended:
    """A pass of these trees, and what it has computed or why it failed."""

    trees: Sequence[Tree]
    outcome: Cost | Exception


class Turns:
    """See the module. For one thread."""

    def __init__(self, backend: AnyBackend) -> None:
        self._backend = backend
        self._flying: Begun | None = None

    def go_on(self, trees: Sequence[Tree]) -> list[Ended]:
        """Begin a pass, and end one: where passes overlap that before, of other trees.

        Args:
            trees: all that go on, and none that is done. Those with the same adapter should be side
                by side.
        """
        before, ended = self._flying, []
        self._flying = None
        chosen = self._chosen(trees, before)
        if chosen:
            try:
                self._flying = begin(self._backend, chosen)
            except Exception as error:
                ended.append(Ended(chosen, error))
        if before is not None:
            ended.append(_ended(before))
        if self._flying is not None and not self._backend.overlaps:
            ended.append(_ended(self._flying))
            self._flying = None
        return ended

    def _chosen(self, trees: Sequence[Tree], before: Begun | None) -> Sequence[Tree]:
        """Those that are in no pass; half of them where there is none."""
        if before is not None:
            return [tree for tree in trees if tree not in before.trees]
        if self._backend.overlaps and len(trees) >= WORTH_PARTING:
            return trees[: len(trees) // 2]
        return trees


def _ended(begun: Begun) -> Ended:
    try:
        return Ended(begun.trees, end(begun))
    except Exception as error:
        return Ended(begun.trees, error)
