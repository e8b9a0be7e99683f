"""Rows of pictures in a trunk: where they stand, and the numbers that a plain model gives."""

import random

import pytest
import torch

from serving.engine.decoding import Tree, step
from serving.engine.eyes.features import seen_in
from serving.listing import Listing
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from tests.serving.drawn import random_features
from tests.serving.engine.test_decoding import CAP, assert_exact, random_question, rules

PLACES = ("first", "after_category", "last")
LISTING = Listing("1", "Kettles", "steel kettle", "1.7 l, cordless")


def builder_for(base, place):
    return PromptBuilder(base.vocabulary, ServingSettings(picture_place=place))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("pushes", [True, False])
def test_the_text_around_pictures_has_the_tokens_that_it_has_without(base, place, pushes):
    builder = builder_for(base, place)
    tokens = [random_features(seed, 4, 8, pushes).tokens for seed in (0, 1)]
    plain, trunk = builder.trunk(LISTING), builder.trunk(LISTING, pictures=tokens)
    start = trunk.seen[0] - tokens[0].rows[0]
    length = sum(len(picture.ids) for picture in tokens)
    assert (*trunk.ids[:start], *trunk.ids[start + length :]) == plain.ids
    assert trunk.end == len(plain) + sum(picture.advance for picture in tokens)
    assert len(trunk.seen) == 8
    before = base.vocabulary.decode(trunk.ids[:start])
    expected = {"first": "", "after_category": "Category: Kettles\n"}
    assert before == expected.get(place, base.vocabulary.decode(plain.ids))


def test_rows_that_do_not_push_leave_the_positions_of_the_text_as_they_are(base):
    builder = builder_for(base, "after_category")
    trunk = builder.trunk(LISTING, pictures=[random_features(0, 4, 8, pushes=False).tokens])
    text = [p for place, p in enumerate(trunk.positions) if place not in trunk.seen]
    assert text == list(range(len(trunk) - 4))


def test_a_long_text_is_cut_and_its_pictures_are_not(base):
    builder = PromptBuilder(base.vocabulary, ServingSettings(max_trunk_tokens=16))
    long = Listing("1", "Kettles", "steel kettle " * 100)
    tokens = random_features(0, 40, 8).tokens
    trunk = builder.trunk(long, pictures=[tokens])
    assert len(trunk) == 16 + len(tokens.ids)
    assert len(trunk.seen) == 40


def test_a_listing_without_text_has_no_line_for_it(base):
    builder = builder_for(base, "after_category")
    text = base.vocabulary.decode(builder.trunk(Listing("1", "Kettles", "")).ids)
    assert text == "Category: Kettles\n"


def plain_embeddings(model, trunk, seen):
    """What a model of transformers is given: (1, rows, hidden)."""
    embeddings = model.get_input_embeddings()(torch.tensor(trunk.ids))
    embeddings[seen.rows] = seen.embeddings
    return embeddings


@torch.inference_mode()
@pytest.mark.parametrize("place", PLACES)
def test_teacher_forced_logits_are_those_of_embeddings_given_to_a_plain_model(base, backend, place):
    pictures = [random_features(seed, 6, base.model.config.hidden_size) for seed in (0, 1)]
    rng = random.Random(0)
    questions = [random_question(rng, number) for number in range(3)]
    tree = builder_for(base, place).tree(
        LISTING, questions, batches=3, pictures=[picture.tokens for picture in pictures]
    )
    seen, trunk = seen_in(tree.trunk, pictures), tree.trunk
    cache = backend.cache(trunk, len(tree.branches))
    tree_pass = backend.begin()
    fed = [(number, 0, segments[0].ids) for number, segments in enumerate(tree.branches)]
    rows = tree_pass.add(cache, trunk, fed, seen=seen)
    logits = tree_pass.run(range(len(tree_pass.ids))).logits
    for row, (_, _, ids) in zip(rows, fed, strict=True):
        after = base.model.get_input_embeddings()(torch.tensor(ids))
        whole = torch.cat([plain_embeddings(base.model, trunk, seen), after])[None]
        want = base.model(inputs_embeds=whole).logits[0, len(trunk) :]
        torch.testing.assert_close(logits[row : row + len(ids)], want, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_listings_with_and_without_pictures_share_a_pass(base, backend):
    """Side by side they answer what each answers alone."""
    builder = builder_for(base, "after_category")
    rng = random.Random(1)
    hidden = base.model.config.hidden_size
    jobs = []
    for number in range(4):
        pictures = [random_features(number, 5, hidden) for _ in range(number % 3)]
        questions = [random_question(rng, n) for n in range(4)]
        listing = Listing(str(number), "Kettles", "steel kettle" if number % 2 else "")
        tree = builder.tree(
            listing, questions, batches=2, pictures=[picture.tokens for picture in pictures]
        )
        jobs.append((tree, pictures))
    alone = [answers(base, backend, [job])[0] for job in jobs]
    together = answers(base, backend, jobs)
    for ours, theirs in zip(together, alone, strict=True):
        expected = {
            name: (answer.ids, torch.tensor(answer.confidence).log().item(), [0.0] * (CAP + 1))
            for name, answer in theirs.items()
        }
        assert_exact(ours, expected)


def answers(base, backend, jobs):
    trees = [Tree(tree, rules(base), None, pictures) for tree, pictures in jobs]
    while unfinished := [tree for tree in trees if not tree.done]:
        step(backend, unfinished)
    return [tree.decoded.answers for tree in trees]
