"""Tree decoding gives the same token ids as transformers' generate does branch by branch."""

import random
from math import exp

import pytest
import torch
from transformers import GenerationConfig

from schemas.category import Attribute, AttributeType
from serving.branch import Rules
from serving.decoding import decode_tree
from serving.listing import Listing
from serving.prompt import PromptBuilder, PromptTree
from serving.settings import ServingSettings

CAP = 8
NARROW = 1e-3  # a reference's top-2 margin below which a difference is rounding
WORDS = [
    "steel",
    "blue",
    "kettle",
    "1.7",
    "l",
    "cordless",
    "matt",
    "black",
    "light",
    "cotton",
    "shirt",
    "24",
    "months",
    "yes",
    "no",
]


@pytest.fixture
def builder(base):
    return PromptBuilder(base.vocabulary, ServingSettings())


def random_question(rng, number):
    values = tuple(dict.fromkeys(" ".join(rng.sample(WORDS, 2)) for _ in range(3)))
    return Attribute(name=f"{rng.choice(WORDS)} {number}", type=AttributeType.ENUM, values=values)


def random_tree(builder, seed, batches):
    rng = random.Random(seed)
    text = " ".join(rng.choices(WORDS, k=rng.randint(3, 60)))
    attributes = [random_question(rng, n) for n in range(rng.randint(4, 9))]
    return builder.tree(Listing(str(seed), "Kettles", text), attributes, batches=batches)


def decode(base, tree, cap=CAP):
    return decode_tree(base.decoder, tree, Rules(base.vocabulary, lambda _: cap))


def reference(base, tree, cap=CAP):
    """Answer ids, log probability and the margins of each step, by the definition of a branch."""
    config = GenerationConfig(
        max_new_tokens=cap,
        do_sample=False,
        eos_token_id=sorted(base.vocabulary.stop_ids),
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    answers = {}
    for branch in tree.branches:
        ids = list(tree.trunk)
        for segment in branch:
            ids += segment.ids
            prompt = torch.tensor([ids])
            output = base.model.generate(
                prompt, attention_mask=torch.ones_like(prompt), generation_config=config
            )
            new = output.sequences[0, len(ids) :].tolist()
            logits = torch.cat(output.logits)
            chosen = logits.log_softmax(-1)[range(len(new)), new].sum().item()
            top = logits.topk(2).values
            margins = (top[:, 0] - top[:, 1]).tolist()
            kept = new[:-1] if new[-1] in base.vocabulary.stop_ids else new
            answers[segment.attribute.name] = (tuple(kept), chosen, margins)
            ids += [*kept, base.vocabulary.newline]
    return answers


@pytest.mark.parametrize("batches", [1, 4, 0])
@pytest.mark.parametrize("seed", range(4))
def test_ids_are_those_of_generate_for_any_number_of_batches(base, builder, seed, batches):
    tree = random_tree(builder, seed, batches)
    expected = reference(base, tree)
    decoded = decode(base, tree, CAP)
    answers = decoded.answers
    assert answers.keys() == expected.keys()
    for name, (ids, log_probability, margins) in expected.items():
        if answers[name].ids != ids:
            first = next(i for i in range(CAP) if answers[name].ids[i : i + 1] != ids[i : i + 1])
            assert margins[first] < NARROW, f"{name} differs at a clear choice"
            pytest.skip("a margin was too narrow to compare what follows it")
        assert answers[name].confidence == pytest.approx(exp(log_probability), rel=1e-3)


def test_the_outputs_compared_are_diverse(base, builder):
    trees = [random_tree(builder, seed, 0) for seed in range(4)]
    decoded = [decode(base, tree, CAP) for tree in trees]
    answers = [answer for each in decoded for answer in each.answers.values()]
    assert len({answer.ids for answer in answers}) > 0.8 * len(answers)
    assert {len(answer.ids) for answer in answers} > {CAP}, "some answers should end by themselves"


def test_the_trunk_is_computed_once_whatever_the_number_of_batches(base, builder):
    tree = random_tree(builder, 1, 0)
    decoded = decode(base, tree, 1)
    questions = sum(len(segment.ids) for branch in tree.branches for segment in branch)
    assert decoded.tokens_computed == len(tree.trunk) + questions
    assert decoded.forward_passes == 1


def test_a_branch_does_not_see_its_siblings_but_sees_the_trunk(base, builder):
    tree = random_tree(builder, 2, 0)
    name = tree.branches[0][0].attribute.name
    alone = PromptTree(tree.trunk, tree.branches[:1])
    other_trunk = PromptTree(random_tree(builder, 3, 0).trunk, tree.branches)

    def confidence(tree):
        decoded = decode(base, tree, 1)
        return decoded.answers[name].confidence

    assert confidence(alone) == pytest.approx(confidence(tree), rel=1e-4)
    assert confidence(other_trunk) != pytest.approx(confidence(tree), rel=1e-2)


def test_an_answer_is_cut_at_its_cap_and_the_next_question_is_still_asked(base, builder):
    tree = random_tree(builder, 0, 1)
    decoded = decode(base, tree, 2)
    assert len(decoded.answers) == len(tree.branches[0])
    assert all(len(answer.ids) <= 2 for answer in decoded.answers.values())
    assert any(not answer.complete for answer in decoded.answers.values())


def test_a_tree_without_branches_costs_nothing(base, builder):
    decoded = decode(base, random_tree(builder, 0, 0), 1)
    empty = decode(base, PromptTree((1, 2), ()), 1)
    assert decoded.forward_passes
    assert (empty.answers, empty.forward_passes) == ({}, 0)
