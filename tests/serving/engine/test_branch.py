"""A branch takes up what the model agrees with; its answers do not depend on what was guessed."""

import random

import pytest

from schemas.category import Attribute, AttributeType
from serving.engine.branch import Branch, Rules, draft
from serving.prompt import Segment

NAMES = ("Model", "Colour", "Size")


class Chain:
    """A model whose next token depends on the last two; tokens up to `stops` end an answer."""

    def __init__(self, seed, tokens, stops):
        self._seed, self._tokens = seed, tokens
        self.vocabulary = Chain.Vocabulary(stops)

    class Vocabulary:
        """As much of a vocabulary as a branch asks for."""

        def __init__(self, stops):
            self.stops = list(range(stops))
            self.stop_ids = frozenset(self.stops)
            self.newline = 0

        def decode(self, ids):
            return " ".join(map(str, ids))

    def after(self, before, last):
        return random.Random(f"{self._seed} {before} {last}").randrange(self._tokens)


class ChainScores:
    """The scores of a pass: what the chain says after each row."""

    def __init__(self, tokens):
        self._tokens = tokens

    def best(self, row):
        return self._tokens[row], -0.5


def run(chain, trunk, drafts):
    """The answers of a branch, and in how many passes."""
    attributes = [Attribute(name=name, type=AttributeType.TEXT) for name in NAMES]
    segments = [Segment(a, (10 + n, 20 + n)) for n, a in enumerate(attributes)]
    branch = Branch(segments, Rules(chain.vocabulary, lambda _: 12), trunk)
    slots, passes = [], 0
    while not branch.done:
        tokens, places = branch.plan(drafts)
        # A slot that did not stand is written again.
        slots = [*slots[: branch.fed], *tokens]
        start = branch.fed
        told = [
            chain.after(slots[start + place - 1] if start + place else -1, slots[start + place])
            for place in places
        ]
        branch.take(ChainScores(told), 0)
        passes += 1
    return branch.answers, passes


@pytest.mark.parametrize("seed", range(20))
def test_the_answers_are_the_same_whatever_was_guessed(seed):
    chain = Chain(seed, tokens=9, stops=1)  # few tokens: it soon repeats itself
    trunk = random.Random(seed).choices(range(9), k=30)
    plain, passes = run(chain, trunk, 0)
    for drafts in (1, 3, 6):
        drafted, fewer = run(chain, trunk, drafts)
        assert drafted == plain
        assert fewer <= passes


def test_guesses_that_come_true_save_passes():
    saved = 0
    for seed in range(20):
        chain = Chain(seed, tokens=9, stops=1)
        saved += run(chain, [], 0)[1] - run(chain, [], 6)[1]
    assert saved > 20


def test_a_guess_is_what_followed_the_same_tokens_last():
    trunk = [1, 2, 3, 4, 1, 2, 5, 6]
    assert draft(trunk, [9, 1, 2], 2) == [5, 6], "two tokens, the last place"
    assert draft(trunk, [9, 3], 3) == [4, 1, 2], "one token, where two were never seen"
    assert draft(trunk, [7, 8, 7], 1) == [8], "its own earlier tokens count too"
    assert draft(trunk, [9], 3) == []
