"""What stands between decoding and whatever computes it: a forward pass over tokens of many trees.

A backend keeps the trees' keys and values in a form of its own, has the adapters in a form of its
own, and computes passes; attention lies inside, since a graph that is compiled whole has no other
place for it. Decoding (`serving.engine.decoding`) knows nothing else of it. Every backend promises:

- A token of a branch sees the whole trunk and what came before it in its own branch, nothing else.
- Positions in a branch count on from the trunk's end, which pictures may move away from the number
  of its tokens.
- A slot can be written again and is then simply overtaken. What lies in later slots meanwhile is
  never seen.

One thread makes caches and runs passes; a cache may be dropped, and an adapter taken up, in any.
Whoever makes a pass holds the caches in it until it has run.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import torch

from serving.adapter_file import AdapterFile
from serving.engine.seen import Seen
from serving.prompt import Trunk

Fed = tuple[int, int, Sequence[int]]
"""Branch (from 0), slot of the first token, and the token ids that it feeds in a pass."""


class Adapter(Protocol):
    """An adapter as its backend computes with it."""

    @property
    def adapter_hash(self) -> str:
        """The hash of the file that it is from."""
        ...


class Scores(Protocol):
    """What comes of a pass, by the number of the row that was wanted; good until the next pass, or
    where passes overlap until the next but one."""

    @property
    def logits(self) -> torch.Tensor:
        """(wanted, vocabulary), wherever they are."""
        ...

    def best(self, row: int) -> tuple[int, float]:
        """The most probable token, and its log probability."""
        ...

    def likely(self, row: int) -> Iterable[tuple[int, float]]:
        """The most probable tokens in order, as many as are at hand, and log probabilities."""
        ...

    def best_of(self, row: int, tokens: list[int]) -> tuple[int, float]:
        """The most probable of `tokens`, and its log probability."""
        ...


class Cache(Protocol):
    """Where one tree keeps its keys and values; they go back when nobody holds it any more."""

    def leave(self, branch: int) -> None:
        """Give back already what a branch holds, which feeds nothing any more."""
        ...


Kept = TypeVar("Kept", bound=Cache)
"""A cache in the backend's form."""
Taken = TypeVar("Taken", bound=Adapter)
"""An adapter in the backend's form."""
Given = TypeVar("Given", bound=Cache, contravariant=True)
Through = TypeVar("Through", bound=Adapter, contravariant=True)


class Pass(Protocol[Given, Through]):
    """One forward pass over tokens of several trees. Add trees, then run it once."""

    ids: list[int]
    """The token ids of all rows so far, in the order in which they were added."""

    def add(
        self,
        cache: Given,
        trunk: Trunk | None,
        fed: Sequence[Fed],
        lora: Through | None = None,
        seen: Seen | None = None,
    ) -> list[int]:
        """Add tokens of one tree.

        Args:
            cache: the tree's.
            trunk: the trunk the first time, None later.
            fed: what its branches feed, each at most once and at least a token.
            lora: the adapter that its rows go through.
            seen: what pictures put into the trunk, its rows counted from the trunk's first.

        Returns:
            The row of each branch's first token; its others follow.
        """
        ...

    def run(self, wanted: Sequence[int]) -> Scores:
        """Compute the pass; scores are after the rows `wanted`."""
        ...


class Backend(Protocol[Kept, Taken]):
    """See the module."""

    name: str
    """What `serving.decoder` calls it."""
    draft_rows: int
    """A pass of few rows costs as much as one of this many, so it is filled up with drafts."""

    overlaps: bool
    """Whether `Pass.run` returns while a device computes, so that meanwhile the host can begin the
    next pass, of other trees."""

    def cache(self, trunk: Trunk, branches: int) -> Kept:
        """Room for a new tree: for `trunk`, which its first pass has to feed, and `branches`."""
        ...

    def begin(self) -> Pass[Kept, Taken]:
        """An empty pass."""
        ...

    def take(self, adapter: AdapterFile, shapes: Mapping[str, tuple[int, int]]) -> Taken:
        """An adapter that `serving.adapter_file.check_adapter` has passed, ready to compute with.

        `shapes` are those that `serving.engine.model.linear_shapes` gives.

        Raises:
            AdapterError: it changes what is not served.
        """
        ...

    def close(self) -> None:
        """Wait for what works in the background."""
        ...


AnyBackend = Backend[Any, Any]
