"""A listing becomes the tree that serving decodes; what is taught is what serving reads."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.values import parse_answer
from serving.engine.model import Base, load_base
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from tests.builders import make_rows
from tests.serving.drawn import random_features
from trainer.data.dataset import Row
from trainer.learning.packing import IGNORED, PackedTree, join, pack, taught_answers, teaches
from trainer.settings import Blank


@pytest.fixture(scope="module")
def tiny(tiny_base: Path) -> Base:
    return load_base(ServingSettings(dtype="float32", device="cpu"), tiny_base)


@pytest.fixture
def row() -> Row:
    return make_rows(1)[0]


def builder(tiny: Base, batches: int = 0) -> PromptBuilder:
    return PromptBuilder(tiny.vocabulary, ServingSettings(batches=batches))


def of_length(tokens: int) -> PackedTree:
    return PackedTree([0] * tokens, list(range(tokens)), [0] * tokens, [IGNORED] * tokens)


def test_only_answers_and_their_newlines_are_taught(tiny: Base, row: Row) -> None:
    prompt = builder(tiny)
    tree = pack(row, prompt, random.Random(0), 4096)
    taught = [label for label in tree.labels if label != IGNORED]
    answers = [prompt.answer(row.values[a.name]) for a in row.filled()]
    assert sorted(taught) == sorted(token for answer in answers for token in answer)
    assert taught.count(prompt.vocabulary.newline) == len(answers)


def test_the_packed_tree_asks_what_serving_asks(tiny: Base, row: Row) -> None:
    prompt = builder(tiny)
    tree = pack(row, prompt, random.Random(0), 4096)
    served = prompt.tree(row.listing, row.filled())
    assert tuple(tree.ids[: len(served.trunk)]) == served.trunk.ids
    asked = {segment.ids for branch in served.branches for segment in branch}
    questions = set()
    for branch in range(1, max(tree.branches) + 1):
        of_branch = [i for i, b in enumerate(tree.branches) if b == branch]
        questions.add(tuple(tree.ids[i] for i in of_branch if tree.labels[i] == IGNORED))
        assert tree.positions[of_branch[0]] == len(served.trunk)
    assert questions == asked


def test_a_blank_is_left_out_and_not_taught(tiny: Base, row: Row) -> None:
    blank = Row(row.listing, row.attributes, {**row.values, "colour": []})
    tree = pack(blank, builder(tiny), random.Random(0), 4096)
    assert max(tree.branches) == len(row.filled()) - 1


def test_a_blank_can_be_taught_as_the_answer_that_serving_reads_as_one(tiny: Base) -> None:
    prompt = builder(tiny)
    row = make_rows(1)[0]
    blank = Row(row.listing, row.attributes, {"colour": ["red"], "weight": ["heavy"]})
    tree = pack(blank, prompt, random.Random(0), 4096, "abstain")
    assert max(tree.branches) == len(row.attributes)
    answers = {
        branch: [
            label
            for label, of in zip(tree.labels, tree.branches, strict=True)
            if of == branch and label != IGNORED
        ]
        for branch in range(1, len(row.attributes) + 1)
    }
    abstentions = [ids for ids in answers.values() if ids == [tiny.vocabulary.newline]]
    assert len(abstentions) == len(row.attributes) - 1
    # The newline is a stop, so what serving reads is the text before it: nothing.
    assert tiny.vocabulary.newline in tiny.vocabulary.stop_ids
    assert parse_answer(row.attributes[0], tiny.vocabulary.decode([])) == []


def test_order_and_split_are_drawn_anew(tiny: Base, row: Row) -> None:
    rng = random.Random(0)
    packed = [pack(row, builder(tiny, 2), rng, 4096).ids for _ in range(5)]
    assert len({tuple(ids) for ids in packed}) > 1


def test_what_does_not_fit_is_left_out_whole(tiny: Base, row: Row) -> None:
    whole = pack(row, builder(tiny), random.Random(0), 4096)
    cut = pack(row, builder(tiny), random.Random(0), len(whole.ids) - 1)
    assert len(cut.ids) < len(whole.ids)
    newline = tiny.vocabulary.newline
    questions = max(whole.branches)
    assert sum(label == newline for label in cut.labels) == questions - 1


LONG = "soup in the evening and tea in the morning, every day of the year"


@pytest.mark.parametrize("blank", ["mask", "abstain"])
def test_a_value_that_serving_would_cut_off_is_left_out(tiny: Base, blank: Blank) -> None:
    [row] = make_rows(1)
    wordy = replace(row, values={"colour": ["red"], "uses": [LONG]})
    prompt = PromptBuilder(tiny.vocabulary, ServingSettings(max_answer_tokens=8))
    answers = taught_answers(wordy, prompt, blank)
    assert "uses" not in answers
    assert answers["colour"] == prompt.answer(["red"])
    assert len(answers) == (1 if blank == "mask" else len(row.attributes) - 1)
    tree = pack(wordy, prompt, random.Random(0), 4096, blank)
    assert tree.label_tokens == sum(map(len, answers.values()))


def test_pictures_that_leave_no_room_for_a_question_are_left_out_the_last_first(
    tiny: Base, row: Row
) -> None:
    prompt = builder(tiny)
    pictures = [random_features(seed, 30, 8, pushes=False) for seed in (0, 1)]
    without = pack(row, prompt, random.Random(0), 4096)
    seen = {}
    for room in range(len(without.ids), len(without.ids) + 70):
        tree = pack(row, prompt, random.Random(0), room, pictures=pictures)
        assert tree.label_tokens
        assert len(tree.ids) <= room
        assert list(tree.pictures) == pictures[: len(tree.pictures)]
        assert len(tree.seen) == 30 * len(tree.pictures)
        seen[room] = len(tree.pictures)
    assert list(seen.values()) == sorted(seen.values())
    shortest = next(n for n in range(4096) if teaches(row, prompt, n))
    tight = pack(row, prompt, random.Random(0), shortest, pictures=pictures)
    assert (tree_of(tight), tight.seen) == (
        tree_of(pack(row, prompt, random.Random(0), shortest)),
        (),
    )


def tree_of(tree: PackedTree) -> tuple[list[int], list[int]]:
    return tree.ids, tree.labels


def test_a_listing_teaches_if_any_of_its_questions_has_room(tiny: Base) -> None:
    [row] = make_rows(1)
    wordy = replace(row, values={"colour": ["red"], "uses": [LONG]})
    alone = replace(row, values={"uses": [LONG]})
    prompt = PromptBuilder(tiny.vocabulary, ServingSettings(max_answer_tokens=100))
    room = next(n for n in range(4096) if teaches(wordy, prompt, n))
    assert not teaches(alone, prompt, room)
    assert teaches(alone, prompt, 4096)
    for seed in range(20):
        assert pack(wordy, prompt, random.Random(seed), room).label_tokens


def test_each_listing_joins_the_first_row_that_has_room() -> None:
    rows = join([of_length(tokens) for tokens in (6, 5, 4, 3, 2)], 10)
    assert [[len(tree.ids) for tree in row] for row in rows] == [[6, 4], [5, 3, 2]]
