"""A branch takes up what the model agrees with; its answers do not depend on what was guessed."""

import random

import pytest

from schemas.category import Attribute, AttributeType
from serving.engine.branch import LONGEST_TAIL, Branch, History, Rules
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
    branch = Branch(segments, Rules(chain.vocabulary, lambda _: 12), History(trunk))
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
    history = History((1, 2, 3, 4, 1, 2, 5, 6))
    assert history.draft([9, 1, 2], 2) == [5, 6], "two tokens, the last place"
    assert history.draft([9, 3], 3) == [4, 1, 2], "one token, where two were never seen"
    assert history.draft([7, 8, 7], 1) == [8], "its own earlier tokens count too"
    assert history.draft([6, 1, 7, 6], 3) == [1, 7, 6], "so does where the answer begins"
    assert history.draft([6, 6], 3) == [6], "and a tail that begins with the trunk's last token"
    assert history.draft([9], 3) == []


@pytest.mark.parametrize("seed", range(20))
def test_an_index_of_the_trunk_finds_what_a_search_from_the_end_finds(seed):
    drawn = random.Random(seed)
    trunk = tuple(drawn.choices(range(5), k=drawn.randrange(20)))
    history = History(trunk)
    for _ in range(50):
        ids = drawn.choices(range(6), k=drawn.randrange(1, 8))
        count = drawn.randrange(1, 7)
        assert history.draft(ids, count) == searched([*trunk, *ids], len(ids), count)


def searched(tokens, own, count):
    """The tokens after the last place that has the longest tail known, looked for from the end."""
    for length in range(min(LONGEST_TAIL, own), 0, -1):
        for end in range(len(tokens) - 1, length - 1, -1):
            if tokens[end - length : end] == tokens[-length:]:
                return tokens[end : end + count]
    return []
