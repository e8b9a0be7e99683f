"""A listing becomes the tree that serving decodes, and its packed loss is the unpacked one."""

import json
import random
from pathlib import Path

import duckdb
import pytest
import torch

from schemas.events import ManifestFile
from serving.model import Base, load_base
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from trainer.dataset import (
    IGNORED,
    PackedTree,
    Row,
    collate,
    file_hash,
    pack,
    read_heldout,
    read_rows,
)
from trainer.errors import DataError
from trainer.lora import summed_loss

from .samples import make_rows, write_heldout, write_manifest


@pytest.fixture(scope="module")
def tiny(tiny_base: Path) -> Base:
    return load_base(ServingSettings(dtype="float32", device="cpu"), tiny_base)


@pytest.fixture
def row() -> Row:
    return make_rows(1)[0]


def builder(tiny: Base, batches: int = 0) -> PromptBuilder:
    return PromptBuilder(tiny.vocabulary, ServingSettings(batches=batches))


def branch_alone(tree: PackedTree, branch: int) -> PackedTree:
    """Trunk and one branch, as if it were the only one: a plain causal sequence."""
    places = [i for i, b in enumerate(tree.branches) if b in (0, branch)]
    return PackedTree(
        ids=[tree.ids[i] for i in places],
        positions=list(range(len(places))),
        branches=[0] * len(places),
        labels=[tree.labels[i] for i in places],
    )


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_the_packed_loss_is_the_sum_of_the_unpacked_losses(
    tiny: Base, row: Row, batches: int
) -> None:
    tree = pack(row, builder(tiny, batches), random.Random(1), 4096)
    branches = range(1, max(tree.branches) + 1)
    assert len(branches) == (batches or len(row.filled()))
    with torch.no_grad():
        packed = summed_loss(tiny.model, collate([tree], 0))
        alone = [summed_loss(tiny.model, collate([branch_alone(tree, b)], 0)) for b in branches]
    assert packed.item() == pytest.approx(sum(loss.item() for loss in alone), rel=1e-5)


def test_padding_changes_no_loss(tiny: Base) -> None:
    rows = make_rows(3)
    trees = [pack(r, builder(tiny), random.Random(0), 4096) for r in rows]
    assert len({len(tree.ids) for tree in trees}) > 1
    with torch.no_grad():
        together = summed_loss(tiny.model, collate(trees, 0)).item()
        apart = sum(summed_loss(tiny.model, collate([tree], 0)).item() for tree in trees)
    assert together == pytest.approx(apart, rel=1e-5)


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
    assert tuple(tree.ids[: len(served.trunk)]) == served.trunk
    asked = {segment.ids for branch in served.branches for segment in branch}
    for branch in range(1, max(tree.branches) + 1):
        of_branch = [i for i, b in enumerate(tree.branches) if b == branch]
        question = tuple(tree.ids[i] for i in of_branch if tree.labels[i] == IGNORED)
        assert question in asked
        assert tree.positions[of_branch[0]] == len(served.trunk)


def test_a_blank_is_left_out_and_not_taught(tiny: Base, row: Row) -> None:
    blank = Row(row.listing, row.attributes, {**row.values, "colour": []})
    tree = pack(blank, builder(tiny), random.Random(0), 4096)
    assert max(tree.branches) == len(row.filled()) - 1


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


def test_rows_of_a_manifest_come_back_as_written(tmp_path: Path) -> None:
    rows = make_rows(4)
    assert read_rows([write_manifest(rows, tmp_path / "train.parquet")]) == rows


def test_another_file_than_the_manifest_names_is_refused(tmp_path: Path) -> None:
    manifest = write_manifest(make_rows(2), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="not the file"):
        read_rows([manifest.model_copy(update={"sha256": "0" * 64})])
    with pytest.raises(DataError, match="cannot be read"):
        read_rows([manifest.model_copy(update={"path": str(tmp_path / "gone.parquet")})])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.parquet"
    duckdb.sql("SELECT 'l1' AS listing_id, 'Mugs' AS category").write_parquet(str(path))
    manifest = ManifestFile(role="train", path=str(path), sha256=file_hash(path), rows=1)
    with pytest.raises(DataError, match="row 0: the column 'attributes'"):
        read_rows([manifest])


def test_heldout_rows_come_back_as_written(tmp_path: Path) -> None:
    rows = make_rows(3)
    assert read_heldout(write_heldout(rows, tmp_path / "heldout.jsonl")) == rows


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"listing_id": "x"}', '{"listing_id": 1, "values": {"a": 5}}']
)
def test_a_bad_heldout_line_is_named(tmp_path: Path, line: str) -> None:
    path = write_heldout(make_rows(2), tmp_path / "heldout.jsonl")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match="line 3"):
        read_heldout(path)


def test_a_line_separator_inside_a_text_splits_no_line(tmp_path: Path) -> None:
    record = {"listing_id": "x", "category": "c", "title": "a\u2028b", "attributes": []}
    path = tmp_path / "heldout.jsonl"
    path.write_text(json.dumps(record | {"values": {}}, ensure_ascii=False))
    assert read_heldout(path)[0].listing.title == "a\u2028b"
