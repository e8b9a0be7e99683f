"""Listings into tensors: one packed tree a listing, the same tree that serving decodes.

A listing becomes one row: the trunk once, then its branches of questions and answers. Only answer
tokens, closing newline included, carry a label. An attribute that the catalog leaves blank is left
out of its branch: a blank is unlabelled, not a taught "unknown" (design.md, "Training"). Order and
split of the attributes are drawn anew each time a listing is packed (paper: "random assignment").
"""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from schemas.category import Attribute
from schemas.events import ManifestFile, ValueLists
from schemas.values import is_valid
from serving.listing import Listing
from serving.prompt import PromptBuilder, split_batches
from serving.tree import PADDING, TRUNK
from trainer.errors import DataError

IGNORED = -100
"""The label of a token that is not taught; PyTorch's cross entropy skips it."""

_VALUES = TypeAdapter(ValueLists)


@dataclass(frozen=True)
class Row:
    """A listing with the attributes it was asked for and the values that its catalog has."""

    listing: Listing
    attributes: tuple[Attribute, ...]
    values: ValueLists

    def filled(self) -> list[Attribute]:
        """The attributes for which the catalog has a legal value."""
        return [a for a in self.attributes if self.answer(a)]

    def answer(self, attribute: Attribute) -> list[str]:
        """The legal answer that the catalog has for `attribute`; empty for a blank.

        Several values of a single-valued attribute are alternative spellings: the first legal one.
        """
        values = self.values.get(attribute.name, [])
        if attribute.multi_value:
            return values if is_valid(attribute, values) else []
        return next(([value] for value in values if is_valid(attribute, [value])), [])


@dataclass(frozen=True)
class PackedTree:
    """One listing as one row; the four lists are equally long.

    `labels` stand at the answer tokens' own places: the token before predicts them.
    """

    ids: list[int]
    positions: list[int]
    branches: list[int]
    labels: list[int]

    @property
    def label_tokens(self) -> int:
        """How many tokens are taught."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True)
class Batch:
    """Packed trees as tensors of shape (rows, tokens), padded with branch id `PADDING`."""

    ids: torch.Tensor
    positions: torch.Tensor
    branches: torch.Tensor
    labels: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(
            self.ids.to(device),
            self.positions.to(device),
            self.branches.to(device),
            self.labels.to(device),
        )


def read_rows(files: Sequence[ManifestFile]) -> list[Row]:
    """The rows of a manifest's Parquet files, in the files' order.

    Raises:
        DataError: a file is missing, is not what the manifest says, or holds no listing of ours.
    """
    return [row for file in files for row in _read_parquet(file)]


def read_heldout(path: Path) -> list[Row]:
    """The rows of a held-out benchmark: JSON, one listing a line.

    Raises:
        DataError: the file is missing or empty, or a line is no listing; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"the held-out file {path} cannot be read: {error.strerror}") from error
    rows = []
    # Not splitlines(): a JSON string may hold a Unicode line separator.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            rows.append(_parse_line(line, f"{path}, line {number}"))
    if not rows:
        raise DataError(f"the held-out file {path} has no listings; give it one JSON object a line")
    return rows


def file_hash(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; restore it") from error


def pack(row: Row, builder: PromptBuilder, rng: random.Random, max_length: int) -> PackedTree:
    """The tree of `row` in at most `max_length` tokens; `rng` draws the order and the split.

    Questions that do not fit are left out; since the order is drawn anew each time, each gets its
    turn in another epoch.
    """
    batches = split_batches(row.filled(), builder.settings.batches, str(rng.getrandbits(64)))
    trunk = builder.trunk(row.listing)[:max_length]
    tree = PackedTree(
        ids=list(trunk),
        positions=list(range(len(trunk))),
        branches=[TRUNK] * len(trunk),
        labels=[IGNORED] * len(trunk),
    )
    for branch, attributes in enumerate(batches, start=TRUNK + 1):
        position = len(trunk)
        for attribute in attributes:
            question = builder.segment(attribute).ids
            answer = builder.answer(row.answer(attribute))
            count = len(question) + len(answer)
            if len(tree.ids) + count > max_length:
                continue
            tree.ids.extend((*question, *answer))
            tree.positions.extend(range(position, position + count))
            tree.branches.extend([branch] * count)
            tree.labels.extend((*[IGNORED] * len(question), *answer))
            position += count
    return tree


def collate(trees: Sequence[PackedTree], padding_id: int) -> Batch:
    """`trees` as one batch of shape (len(trees), longest)."""
    longest = max(len(tree.ids) for tree in trees)

    def padded(lists: Sequence[list[int]], filler: int) -> torch.Tensor:
        return torch.tensor([one + [filler] * (longest - len(one)) for one in lists])

    return Batch(
        ids=padded([tree.ids for tree in trees], padding_id),
        positions=padded([tree.positions for tree in trees], 0),
        branches=padded([tree.branches for tree in trees], PADDING),
        labels=padded([tree.labels for tree in trees], IGNORED),
    )


def _read_parquet(file: ManifestFile) -> list[Row]:
    path = Path(file.path)
    if file_hash(path) != file.sha256:
        raise DataError(f"{path} is not the file that the round names; let the pool select again")
    rows = [_parse_row(record, f"{path}, row {i}") for i, record in enumerate(_records(path))]
    if len(rows) != file.rows:
        raise DataError(f"{path} has {len(rows)} rows where the manifest says {file.rows}")
    return rows


def _records(path: Path) -> Iterator[dict[str, Any]]:
    # Both are heavy and only one is needed: a GPU image may have one and not the other.
    try:
        import duckdb
    except ImportError:
        import pyarrow.parquet

        yield from pyarrow.parquet.read_table(path).to_pylist()
        return
    with duckdb.connect() as connection:
        table = connection.execute("SELECT * FROM read_parquet($1)", [str(path)])
        names = [column[0] for column in table.description]
        for values in table.fetchall():
            yield dict(zip(names, values, strict=True))


def _parse_line(line: str, where: str) -> Row:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg}); mend or remove the line") from error
    if not isinstance(record, dict):
        raise DataError(f"{where}: not a JSON object; mend or remove the line")
    return _parse_row(record, where)


def _parse_row(record: Mapping[str, Any], where: str) -> Row:
    try:
        return Row(
            listing=Listing(
                listing_id=str(record["listing_id"]),
                category=str(record["category"]),
                title=record.get("title") or "",
                description=record.get("description") or "",
                images=tuple(_json(record.get("images")) or ()),
            ),
            attributes=tuple(Attribute.model_validate(a) for a in _json(record["attributes"])),
            values=_VALUES.validate_python(_json(record["values"])),
        )
    except KeyError as error:
        raise DataError(f"{where}: the column {error} is missing; write the file again") from error
    except (ValidationError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{where}: no listing ({reason}); mend or remove it") from error


def _json(value: Any) -> Any:
    """Nested columns are JSON text in Parquet and plain JSON in a JSONL file."""
    return json.loads(value) if isinstance(value, str) else value
