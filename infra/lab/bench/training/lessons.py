"""What both ways of training are given: the same listings, the same questions, the same token ids.

Ours gets rows and packs its own trees. TRL gets its examples tokenised, each the trunk and one
branch, cut from the very trees that ours trains on in its first step: so the first losses agree to
rounding, and nobody spends time or memory on a tokenizer.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.lab.bench.flops import visible_keys
from infra.lab.bench.listings import Question, full_answer, read_vocabulary
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from trainer.data.dataset import Row
from trainer.learning.packing import IGNORED, PackedTree
from trainer.learning.schedule import draw_tree
from trainer.learning.tree_attention import TRUNK
from trainer.settings import TrainerSettings

BATCHES = (4, 0)
"""The numbers of branches B that are measured; 0 stands for one an attribute, |A|."""


@dataclass(frozen=True)
class TrlExample:
    """A prompt and its completions as TRL takes them; both lists are equally long.

    `completion_mask` is 1 on the tokens that are taught: all answers of the branch.
    """

    input_ids: list[int]
    completion_mask: list[int]


@dataclass(frozen=True)
class Amount:
    """What one step must compute, counted in tokens; `keys` are (token, visible key) pairs."""

    tokens: int
    label_tokens: int
    keys: float


@dataclass(frozen=True)
class Lesson:
    """One set of listings, all of which make up one step.

    Attributes:
        rows: file of the rows, a listing a line.
        examples: B to the file of TRL's examples.
        trials: B to the file of a few of them, as many for each B, for finding a good set-up.
        amounts: ("tree", "pictured" or "examples", B) to what a step computes so.
    """

    listings: int
    rows: Path
    examples: dict[int, Path]
    trials: dict[int, Path]
    amounts: dict[tuple[str, int], Amount]


def prepare(
    questions: Sequence[Question], filled: bool, base: Path, folder: Path, picture_rows: int = 0
) -> Lesson:
    """Tokenise `questions` with the tokenizer in the folder `base`; the files go to `folder`.

    Args:
        filled: whether what the catalog leaves blank is filled with a plain legal value.
        picture_rows: what a picture has in the trunk; 0 if none is looked at.
    """
    folder.mkdir()
    rows = [_row(question, filled) for question in questions]
    path = folder / "rows.jsonl"
    path.write_text("".join(_line(row) + "\n" for row in rows), encoding="utf-8")
    examples, trials, amounts = {}, {}, {}
    vocabulary = read_vocabulary(base)
    for batches in BATCHES:
        builder = PromptBuilder(vocabulary, ServingSettings(batches=batches))
        trees = [draw_tree(row, 0, builder, TrainerSettings()) for row in rows]
        cut = [example for tree in trees for example in branches_of(tree)]
        examples[batches] = _write(cut, folder / f"examples-{batches}.json")
        trials[batches] = _write(cut[: 4 * len(rows)], folder / f"trial-{batches}.json")
        amounts["tree", batches] = _sum(map(tree_amount, trees))
        amounts["pictured", batches] = _sum(tree_amount(tree, picture_rows) for tree in trees)
        amounts["examples", batches] = _sum(map(_example_amount, cut))
    return Lesson(len(rows), path, examples, trials, amounts)


def branches_of(tree: PackedTree) -> list[TrlExample]:
    """The trunk with each of the branches in turn: what a tree saves repeating."""
    trunk = [token for token, branch in zip(tree.ids, tree.branches, strict=True) if not branch]
    cut = []
    for number in range(TRUNK + 1, max(tree.branches) + 1):
        places = [place for place, branch in enumerate(tree.branches) if branch == number]
        ids = [tree.ids[place] for place in places]
        taught = [int(tree.labels[place] != IGNORED) for place in places]
        cut.append(TrlExample([*trunk, *ids], [*[0] * len(trunk), *taught]))
    return cut


def tree_amount(tree: PackedTree, picture_rows: int = 0) -> Amount:
    """What one packed tree computes, with so many rows of pictures in its trunk."""
    trunk = tree.branches.count(TRUNK) + picture_rows
    lengths = [tree.branches.count(b) for b in range(TRUNK + 1, max(tree.branches) + 1)]
    tokens = len(tree.ids) + picture_rows
    return Amount(tokens, tree.label_tokens, visible_keys(trunk, lengths))


def _write(examples: Sequence[TrlExample], path: Path) -> Path:
    path.write_text(json.dumps([vars(example) for example in examples]))
    return path


def _example_amount(example: TrlExample) -> Amount:
    length = len(example.input_ids)
    return Amount(length, sum(example.completion_mask), visible_keys(length, []))


def _sum(amounts: Iterable[Amount]) -> Amount:
    kept = list(amounts)
    return Amount(
        sum(amount.tokens for amount in kept),
        sum(amount.label_tokens for amount in kept),
        sum(amount.keys for amount in kept),
    )


def _row(question: Question, filled: bool) -> Row:
    values = dict(question.truth)
    if filled:
        for name, value in full_answer(question).items():
            values.setdefault(name, value if isinstance(value, list) else [value])
    return Row(question.listing, question.attributes, values)


def _line(row: Row) -> str:
    """The row as `trainer.data.dataset.read_heldout` reads it."""
    listing = row.listing
    return json.dumps(
        {
            "listing_id": listing.listing_id,
            "category": listing.category,
            "title": listing.title,
            "description": listing.description,
            "attributes": [attribute.model_dump(mode="json") for attribute in row.attributes],
            "values": row.values,
        }
    )
