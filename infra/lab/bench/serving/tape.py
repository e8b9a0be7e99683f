"""Backends that record what another one computes, and play it again at once.

What is left of a listing then is the host's work: preparing, planning, and what is made of answers.
A score is kept by trunk, branch and slot. Greedy decoding comes through the same slots again, in
whatever company and however many tokens are guessed, and never asks after one that does not stand.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from serving.adapter_file import AdapterFile
from serving.engine.backend import AnyBackend, Fed, Scores
from serving.engine.backends import make_backend
from serving.engine.seen import Seen
from serving.prompt import Trunk

Told = dict[tuple[int, int], tuple[int, float]]
"""Branch and slot to a token and its log probability."""


@dataclass
class Track:
    """What a tree's rows answered: the best of all tokens, and the best of those that may come."""

    best: Told = field(default_factory=dict)
    best_of: Told = field(default_factory=dict)

    def leave(self, branch: int) -> None:
        """See `serving.engine.backend.Cache`: nothing is held."""


Tape = dict[tuple[int, ...], Track]
"""The tracks of trees that are asked in one mode, by their trunks' token ids."""


class Rows:
    """The rows of a pass, and of which track, branch and slot each of a branch is."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._first: list[int] = []
        self._stretches: list[tuple[Track, int, int]] = []

    def added(self, track: Track, trunk: Trunk | None, fed: Sequence[Fed]) -> list[int]:
        """The row of each branch's first token."""
        if trunk is not None:
            self.ids += trunk.ids
        first = []
        for branch, slot, ids in fed:
            first.append(len(self.ids))
            self._stretches.append((track, branch, slot))
            self.ids += ids
        self._first += first
        return first

    def place(self, row: int) -> tuple[Track, tuple[int, int]]:
        """The track of a branch's row, and its branch and slot."""
        stretch = bisect_right(self._first, row) - 1
        track, branch, slot = self._stretches[stretch]
        return track, (branch, slot + row - self._first[stretch])


@dataclass(frozen=True)
class RecordedCache:
    """A tree's track, and where the backend that computes keeps its keys and values."""

    track: Track
    other: Any

    def leave(self, branch: int) -> None:
        """See `serving.engine.backend.Cache`."""
        self.other.leave(branch)


class Recorder:
    """A backend that has another one compute, and keeps on `tape` what comes of it."""

    backend: AnyBackend
    name: str
    draft_rows: int
    overlaps = False

    def __init__(self) -> None:
        self.tape: Tape = {}

    def over(self, *made_of: Any) -> Self:
        """In the place of `make_backend`, whose backend is the one that computes."""
        self.backend = make_backend(*made_of)
        self.name, self.draft_rows = self.backend.name, self.backend.draft_rows
        return self

    def cache(self, trunk: Trunk, branches: int) -> RecordedCache:
        """See `serving.engine.backend.Backend`."""
        track = self.tape.setdefault(trunk.ids, Track())
        return RecordedCache(track, self.backend.cache(trunk, branches))

    def begin(self) -> "RecordedPass":
        """See `serving.engine.backend.Backend`."""
        return RecordedPass(self.backend.begin())

    def take(self, adapter: AdapterFile, shapes: Mapping[str, tuple[int, int]]) -> Any:
        """See `serving.engine.backend.Backend`."""
        return self.backend.take(adapter, shapes)

    def close(self) -> None:
        """See `serving.engine.backend.Backend`."""
        self.backend.close()


class RecordedPass(Rows):
    """See `serving.engine.backend.Pass`."""

    def __init__(self, other: Any) -> None:
        super().__init__()
        self._other = other

    def add(
        self,
        cache: RecordedCache,
        trunk: Trunk | None,
        fed: Sequence[Fed],
        lora: Any = None,
        seen: Seen | None = None,
    ) -> list[int]:
        """See `serving.engine.backend.Pass`."""
        self._other.add(cache.other, trunk, fed, lora, seen)
        return self.added(cache.track, trunk, fed)

    def run(self, wanted: Sequence[int]) -> "RecordedScores":
        """See `serving.engine.backend.Pass`."""
        return RecordedScores(self, wanted, self._other.run(wanted))


class RecordedScores:
    """See `serving.engine.backend.Scores`."""

    def __init__(self, rows: Rows, wanted: Sequence[int], other: Scores) -> None:
        self._rows = rows
        self._wanted = wanted
        self._other = other

    @property
    def logits(self) -> torch.Tensor:
        """See `serving.engine.backend.Scores`."""
        return self._other.logits

    def best(self, row: int) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        track, place = self._rows.place(self._wanted[row])
        track.best[place] = self._other.best(row)
        return track.best[place]

    def likely(self, row: int) -> Iterator[tuple[int, float]]:
        """See `serving.engine.backend.Scores`: the best one."""
        yield self.best(row)

    def best_of(self, row: int, tokens: list[int]) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        track, place = self._rows.place(self._wanted[row])
        track.best_of[place] = self._other.best_of(row, tokens)
        return track.best_of[place]


@dataclass
class Player:
    """A backend that says what is on `tape`, with as many drafts as fill up `draft_rows`."""

    draft_rows: int
    tape: Tape = field(default_factory=dict)
    name: str = "tape"
    overlaps: bool = False

    def cache(self, trunk: Trunk, branches: int) -> Track:
        """See `serving.engine.backend.Backend`; only what is on the tape."""
        return self.tape[trunk.ids]

    def begin(self) -> "PlayedPass":
        """See `serving.engine.backend.Backend`."""
        return PlayedPass()

    def take(self, adapter: AdapterFile, shapes: Mapping[str, tuple[int, int]]) -> Any:
        """See `serving.engine.backend.Backend`; the base was recorded."""
        raise NotImplementedError("ask by the base, which was recorded")

    def close(self) -> None:
        """See `serving.engine.backend.Backend`."""


class PlayedPass(Rows):
    """See `serving.engine.backend.Pass`."""

    def add(
        self,
        cache: Track,
        trunk: Trunk | None,
        fed: Sequence[Fed],
        lora: Any = None,
        seen: Seen | None = None,
    ) -> list[int]:
        """See `serving.engine.backend.Pass`."""
        return self.added(cache, trunk, fed)

    def run(self, wanted: Sequence[int]) -> "PlayedScores":
        """See `serving.engine.backend.Pass`."""
        return PlayedScores(self, wanted)


class PlayedScores:
    """See `serving.engine.backend.Scores`.

    Where a token is asked after in the other way than it was recorded in, it is the same token: a
    draft can lead to where the answer must end, which is else known before.
    """

    def __init__(self, rows: Rows, wanted: Sequence[int]) -> None:
        self._rows = rows
        self._wanted = wanted

    @property
    def logits(self) -> torch.Tensor:
        """There are none."""
        raise NotImplementedError("no logits are recorded")

    def best(self, row: int) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        track, place = self._rows.place(self._wanted[row])
        return track.best.get(place) or track.best_of[place]

    def likely(self, row: int) -> Iterator[tuple[int, float]]:
        """See `serving.engine.backend.Scores`: the best one."""
        yield self.best(row)

    def best_of(self, row: int, tokens: list[int]) -> tuple[int, float]:
        """See `serving.engine.backend.Scores`."""
        track, place = self._rows.place(self._wanted[row])
        return track.best_of.get(place) or track.best[place]
