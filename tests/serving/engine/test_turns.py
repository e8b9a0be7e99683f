"""Passes that overlap give what passes in a row give, and one that fails leaves the other alone."""

import pytest

from serving.engine import turns
from serving.engine.decoding import Tree
from serving.engine.torch_backend import TorchBackend
from serving.engine.turns import WORTH_PARTING, Turns
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from tests.serving.engine.test_decoding import decode, random_tree, rules

COUNT = WORTH_PARTING + 3


@pytest.fixture(scope="module")
def prompts(base):
    builder = PromptBuilder(base.vocabulary, ServingSettings())
    return [random_tree(builder, seed, 2, (1, 3)) for seed in range(COUNT)]


@pytest.fixture
def backend(base):
    """One that says that its passes overlap, as a device's do."""
    backend = TorchBackend(base.decoder)
    backend.overlaps = True
    return backend


def go_on(made, trees):
    return made.go_on([tree for tree in trees if not tree.done])


def test_trees_in_two_halves_are_answered_as_each_alone(base, backend, prompts, monkeypatch):
    in_pass, counts = set(), []
    begin, end = turns.begin, turns.end

    def began(backend, trees):
        assert not in_pass & set(map(id, trees)), "a tree is in two passes"
        in_pass.update(map(id, trees))
        counts.append(len(trees))
        return begin(backend, trees)

    def ended(begun):
        in_pass.difference_update(map(id, begun.trees))
        return end(begun)

    monkeypatch.setattr(turns, "begin", began)
    monkeypatch.setattr(turns, "end", ended)
    made, trees = Turns(backend), [Tree(prompt, rules(base)) for prompt in prompts]
    while not all(tree.done for tree in trees):
        go_on(made, trees)
    assert counts[:2] == [COUNT // 2, COUNT - COUNT // 2]
    assert max(counts) < COUNT
    for tree, prompt in zip(trees, prompts, strict=True):
        alone = decode(TorchBackend(base.decoder), base, prompt)
        assert tree.decoded.answers.keys() == alone.answers.keys()
        assert all(tree.decoded.answers[n].ids == a.ids for n, a in alone.answers.items())


def test_few_trees_go_together(base, backend, prompts):
    made, trees = Turns(backend), [Tree(prompt, rules(base)) for prompt in prompts[:2]]
    assert go_on(made, trees) == []
    [ended] = go_on(made, trees)
    assert ended.trees == trees


def test_passes_that_do_not_overlap_end_at_once(base, prompts):
    made, trees = Turns(TorchBackend(base.decoder)), [Tree(p, rules(base)) for p in prompts]
    for _ in range(2):
        going = [tree for tree in trees if not tree.done]
        [ended] = go_on(made, trees)
        assert ended.trees == going
        assert ended.outcome.tokens > 0


@pytest.mark.parametrize("what", ["begin", "end"])
def test_a_pass_that_fails_leaves_the_other_half_alone(base, backend, prompts, monkeypatch, what):
    made, trees = Turns(backend), [Tree(prompt, rules(base)) for prompt in prompts]
    first, second = trees[: COUNT // 2], trees[COUNT // 2 :]
    go_on(made, trees)
    real = getattr(turns, what)

    def failing(*told):
        if (told[-1] if what == "begin" else told[0].trees) == second:
            raise RuntimeError("out of luck")
        return real(*told)

    monkeypatch.setattr(turns, what, failing)
    ended = [*go_on(made, trees), *go_on(made, trees)]
    outcomes = {id(one.trees[0]): one.outcome for one in ended}
    assert isinstance(outcomes[id(second[0])], RuntimeError)
    assert outcomes[id(first[0])].tokens > 0
