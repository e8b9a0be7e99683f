"""Listings and their catalog values, as rounds and held-out benchmarks bring them."""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.category import Attribute
from schemas.conditions import applying
from schemas.events import ManifestFile, ValueLists, listing_sha256
from schemas.texts import HALF_CHARACTER, is_cut_json
from schemas.values import is_valid, mend
from serving.listing import Listing
from trainer.data.parquet import erased_from, records
from trainer.errors import DataError

_VALUES = TypeAdapter(ValueLists)
_ORIGINS = TypeAdapter(dict[str, str])
_PICTURES = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True)
class Row:
    """A listing with the attributes that it was asked for and that apply to it, and the values
    that its catalog has.

    origins: attribute to where its value comes from (`schemas.origins`); without one it is unknown.
    blind: whether no model has touched the values; false where a file does not say.
    pictures: SHA-256 of what was seen of the listing's pictures, in order.
    """

    listing: Listing
    attributes: tuple[Attribute, ...]
    values: ValueLists
    origins: Mapping[str, str] = field(default_factory=dict)
    blind: bool = False
    pictures: tuple[str, ...] = ()

    @property
    def has_text(self) -> bool:
        """Whether there is a title or a description to read."""
        return self.listing.has_text

    def accepted(self, attribute: Attribute) -> bool:
        """Whether the seller submitted what had been suggested for `attribute`."""
        return self.origins.get(attribute.name) == "accepted"

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


def with_role(files: Sequence[ManifestFile], role: str) -> list[ManifestFile]:
    """Those of a manifest's files that are for `train` or `heldout`; never an empty one."""
    return [file for file in files if file.role == role and file.rows]


def read_rows(files: Sequence[ManifestFile], forgotten: Collection[str] = ()) -> list[Row]:
    """The rows of a manifest's Parquet files, in the files' order.

    Args:
        files: the manifest.
        forgotten: SHA-256 of the listings that are left out.

    Raises:
        DataError: a file is missing, is not what the manifest says, or holds no listing of ours.
    """
    return [
        row
        for file in files
        for row in _read_parquet(file)
        if not forgotten or listing_sha256(row.listing.listing_id) not in forgotten
    ]


def read_heldout(path: Path) -> list[Row]:
    """The rows of a held-out benchmark: JSON, one listing a line.

    Raises:
        DataError: the file is missing or empty, or a line is no listing; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"the held-out file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"the held-out file {path} is not UTF-8; save it as UTF-8") from error
    rows = []
    # Not splitlines(): a JSON string may hold a Unicode line separator.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            rows.append(_parse_line(line, f"{path}, line {number}"))
    if not rows:
        raise DataError(f"the held-out file {path} has no listings; give it one JSON object a line")
    return rows


def rows_hash(rows: Sequence[Row]) -> str:
    """What tells one list of listings, with what is asked and the values they have, from another:
    64 hexadecimal digits."""
    content = [[*_asked(row), row.values] for row in rows]
    return _digest(content)


def question_hash(row: Row) -> str:
    """What an answer to `row` depends on, of the row: the listing and the attributes asked for.

    It begins with the listing's own hash, so that what is kept of it can be found.
    """
    return f"{listing_sha256(row.listing.listing_id)}-{_digest(_asked(row))[:16]}"


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


def _asked(row: Row) -> list[Any]:
    attributes = [attribute.content() for attribute in row.attributes]
    asked = [dataclasses.asdict(row.listing), attributes]
    return [*asked, row.pictures] if row.pictures else asked


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read_parquet(file: ManifestFile) -> list[Row]:
    path = Path(file.path)
    whole = file_hash(path) == file.sha256
    if not whole and _was(path) != file.sha256:
        raise DataError(f"{path} is not the file that the round names; let the pool select again")
    rows = [_parse_row(record, f"{path}, row {i}") for i, record in enumerate(records(path))]
    if whole and len(rows) != file.rows:
        raise DataError(f"{path} has {len(rows)} rows where the manifest says {file.rows}")
    return rows


def _was(path: Path) -> str | None:
    """What the file's hash was before forgotten listings were taken out of it, if some were."""
    try:
        return erased_from(path)
    except Exception:  # of either library: what cannot be read is not the file, whatever it is
        return None


def _parse_line(line: str, where: str) -> Row:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg}); mend or remove the line") from error
    if is_cut_json(line):
        raise DataError(f"{where}: {HALF_CHARACTER}")
    if not isinstance(record, dict):
        raise DataError(f"{where}: not a JSON object; mend or remove the line")
    return _parse_row(record, where)


def _parse_row(record: Mapping[str, Any], where: str) -> Row:
    try:
        attributes = _attributes(record["attributes"])
        asked = {attribute.name: attribute for attribute in attributes}
        given = _VALUES.validate_python(_json(record["values"]))
        values = {n: mend(asked[n], v) if n in asked else v for n, v in given.items()}
        return Row(
            listing=Listing(
                listing_id=str(record["listing_id"]),
                category=str(record["category"]),
                title=record.get("title") or "",
                description=record.get("description") or "",
                images=tuple(_json(record.get("images")) or ()),
            ),
            attributes=tuple(applying(attributes, values)),
            values=values,
            origins=_ORIGINS.validate_python(_json(record.get("origins")) or {}),
            blind=_json(record.get("blind")) is True,
            pictures=_PICTURES.validate_python(_json(record.get("pictures")) or ()),
        )
    except KeyError as error:
        raise DataError(f"{where}: the column {error} is missing; write the file again") from error
    except (ValidationError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{where}: no listing ({reason}); mend or remove it") from error


def _attributes(given: Any) -> tuple[Attribute, ...]:
    return _attributes_of(given if isinstance(given, str) else json.dumps(given))


@lru_cache(maxsize=1024)
def _attributes_of(text: str) -> tuple[Attribute, ...]:
    """Those of a category, once: its listings have the same, each maybe of thousands of values."""
    return tuple(Attribute.model_validate(a) for a in json.loads(text))


def _json(value: Any) -> Any:
    """Nested columns are JSON text in Parquet and plain JSON in a JSONL file."""
    return json.loads(value) if isinstance(value, str) else value
