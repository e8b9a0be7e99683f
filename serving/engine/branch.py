"""One branch of a tree in the making: what it feeds next, and what it makes of the answer.

The reference that defines a branch (design.md, "Exact by rule"): for each attribute in order append
its question's ids, generate greedily to the stop set or the cap, append one canonical newline.

What is known before it is decoded is fed in one pass with the token before it:

- forced tokens, where the schema leaves one continuation: the rest of a value, its end, the newline
  and the next question. They are certain; their logits are read for the confidence only.
- drafts, what followed the same tokens earlier: values are mostly copied from the product's text,
  and a model that has lost its way repeats itself (prompt lookup decoding; transformers has it as
  `prompt_lookup_num_tokens`). A draft counts only as far as the model agrees token by token, so
  that the answer is the reference's whatever was guessed.

Confidence is the product of the unrenormalised probabilities of an answer's tokens, stop included.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp
from typing import Protocol

from schemas.category import Attribute
from serving.engine.backend import Scores
from serving.prompt import Segment
from serving.vocabulary import Vocabulary

END = -1
"""Expected in the place of a token: the answer ends here."""

LONGEST_TAIL = 2
"""Tokens that a draft must follow, at first; then one fewer."""


class Matcher(Protocol):
    """Which tokens may come next in one answer. Any stop token ends it, where `may_stop`."""

    def allows(self, token: int) -> bool:
        """Whether `token`, a stop token or any other, may come next."""
        ...

    def allowed(self) -> list[int]:
        """All tokens that may come next, stop tokens among them; never empty."""
        ...

    def advance(self, token: int) -> None:
        """Take note that `token`, which is no stop token, was chosen."""
        ...

    def forced(self) -> tuple[list[int], bool]:
        """The tokens that must come next, and whether after them the answer must end."""
        ...


@dataclass(frozen=True)
class Rules:
    """What the branches of a request have in common.

    `cap` gives the most new tokens of an attribute's answer, stop included, at least 1; `matcher`
    a fresh matcher, None where the answer is free.
    """

    vocabulary: Vocabulary
    cap: Callable[[Attribute], int]
    matcher: Callable[[Attribute], Matcher | None] = lambda _: None


@dataclass(frozen=True)
class Answer:
    """The answer to one question: its token ids without the stop, their text, its probability.

    `complete` is False where the cap ended it: then its text is no value (`preparing.judge`).
    """

    ids: tuple[int, ...]
    text: str
    confidence: float
    complete: bool


class Branch:
    """See the module. By turns `plan` and `take`, until it is `done`."""

    def __init__(self, segments: Sequence[Segment], rules: Rules, history: "History") -> None:
        """`history` is what drafts are taken from."""
        self.answers: dict[str, Answer] = {}
        self.fed = 0  # tokens in the cache that stand
        self.done = False  # all its questions are answered
        self._rules = rules
        self._history = history
        self._segments = segments
        self._asked = 0
        self._pending: list[int] = []  # certain tokens that are not in the cache yet
        self._expected: list[tuple[int, int | None]] = []
        self._ask()
        self._forced = self._look_ahead()

    @property
    def certain(self) -> int:
        """How many tokens it feeds next, without drafts."""
        known, ends = self._forced
        return len(self._pending) + len(known) + len(self._after(ends))

    def plan(self, drafts: int = 0) -> tuple[list[int], list[int]]:
        """The tokens to feed next, and the places among them after which `take` wants scores.

        Up to `drafts` of the tokens are guessed.
        """
        known, ends = self._forced
        if drafts and self.ids and not (known or ends):
            known = self._drafted(drafts)
        tokens = self._pending + known
        self._expected = list(enumerate(known, start=len(self._pending) - 1))
        if ends:
            self._expected.append((len(tokens) - 1, END))
            tokens += self._after(ends)
        if not ends or self._asked < len(self._segments):
            self._expected.append((len(tokens) - 1, None))
        return tokens, [place for place, _ in self._expected]

    def take(self, scores: Scores, first: int) -> None:
        """Go on by the scores of the planned places, which are rows `first` and on."""
        for row, (place, expected) in enumerate(self._expected, start=first):
            token, log_probability = self._choose(scores, row, expected)
            ended = self._append(token, log_probability)
            if expected is None or expected not in (END, token):
                # What was fed beyond this place, a draft that is not taken up, does not stand.
                self.fed += place + 1
                # A token that the cap ended on has not been fed yet; a stop token never is.
                self._pending = [] if ended and self.complete else [token]
                if ended:
                    self._pending.append(self._rules.vocabulary.newline)
                    self._ask()
                break
            if ended:
                self._ask()
        self._forced = self._look_ahead()

    def _look_ahead(self) -> tuple[list[int], bool]:
        """The tokens that must follow what is pending, and whether the answer must end then."""
        if self.done or self.matcher is None:
            return [], False
        forced, ends = self.matcher.forced()
        # The token that reaches the cap is always decided.
        room = self._cap - len(self.ids) - 1
        return forced[:room], ends and len(forced) <= room

    def _after(self, ends: bool) -> list[int]:
        """What is fed after the answer where it is known that it `ends`: the next question."""
        if not ends or self._asked == len(self._segments):
            return []
        return [self._rules.vocabulary.newline, *self._segments[self._asked].ids]

    def _drafted(self, count: int) -> list[int]:
        room = self._cap - len(self.ids) - 1
        tokens = self._history.draft(self.ids, min(count, room))
        stops = self._rules.vocabulary.stop_ids
        return tokens[: next((n for n, token in enumerate(tokens) if token in stops), None)]

    def _choose(self, scores: Scores, row: int, expected: int | None) -> tuple[int, float]:
        if expected == END:
            return scores.best_of(row, self._rules.vocabulary.stops)
        if self.matcher is None:
            return scores.best(row)
        # To ask for one token is some hundred times quicker than to list all that may come.
        for token, log_probability in scores.likely(row):
            if self.matcher.allows(token):
                return token, log_probability
        return scores.best_of(row, self.matcher.allowed())

    def _append(self, token: int, log_probability: float) -> bool:
        """Append a token to the current answer; whether that ended it."""
        self.log_probability += log_probability
        self.complete = token in self._rules.vocabulary.stop_ids
        if not self.complete:
            self.ids.append(token)
            if self.matcher is not None:
                self.matcher.advance(token)
            if len(self.ids) < self._cap:
                return False
        self.answers[self.attribute.name] = Answer(
            tuple(self.ids),
            self._rules.vocabulary.decode(self.ids),
            exp(self.log_probability),
            self.complete,
        )
        return True

    def _ask(self) -> None:
        if self._asked == len(self._segments):
            self.done = True
            return
        segment = self._segments[self._asked]
        self._asked += 1
        self._pending += segment.ids
        self.attribute = segment.attribute
        self.ids: list[int] = []
        self.log_probability = 0.0
        self.complete = False
        self._cap = self._rules.cap(segment.attribute)
        self.matcher = self._rules.matcher(segment.attribute)


class History:
    """What an answer to a product may have copied: its trunk, and then the answer itself."""

    def __init__(self, trunk: Sequence[int]) -> None:
        self._trunk = trunk

    @cached_property
    def _ends(self) -> dict[tuple[int, ...], int]:
        """Where the tokens of a tail end in the trunk, at the last place that has them."""
        trunk = self._trunk
        return {
            tuple(trunk[end - length : end]): end
            for length in range(1, LONGEST_TAIL + 1)
            for end in range(length, len(trunk) + 1)
        }

    def draft(self, ids: list[int], count: int) -> list[int]:
        """Up to `count` tokens that may follow the answer `ids`, which is not empty."""
        # The answer, and before it what a tail may begin with.
        own = [*self._trunk[1 - LONGEST_TAIL :], *ids]
        for length in range(min(LONGEST_TAIL, len(ids)), 0, -1):
            tail = ids[-length:]
            for end in range(len(own) - 1, length - 1, -1):
                if own[end - 1] == tail[-1] and own[end - length : end] == tail:
                    return own[end : end + count]
            end_in_trunk = self._ends.get(tuple(tail))
            if end_in_trunk is not None:
                return [*self._trunk[end_in_trunk : end_in_trunk + count], *ids][:count]
        return []
