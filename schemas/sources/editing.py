"""A schema file changed in one place by a program, everything else in it as somebody wrote it.

The order of categories and attributes stays, and so do fields that `schemas.sources.json_schema`
does not know. The new file is read as a whole before it takes the old one's place, in one step; the
old one stays beside it.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from schemas.category import Attribute, AttributeType, CategorySchemas
from schemas.errors import SchemaError
from schemas.sources.json_schema import read_schemas


@dataclass(frozen=True)
class Edit:
    """A schema file as it is and as it is to be: bytes, and what they mean."""

    path: Path
    before: bytes
    after: bytes
    schemas_before: CategorySchemas
    schemas_after: CategorySchemas


def with_values(path: Path, category: str, attribute: str, values: Sequence[str]) -> Edit:
    """What the schema file would be if an enum also allowed `values`, in this order, as its last.

    Nothing is written where the file is.

    Args:
        category, attribute: by their names in force, or former ones.

    Raises:
        SchemaError: it has no such category or attribute, the attribute is no enum or allows a
            value already, or the new file would be none.
    """
    path = path.resolve()
    before = read_schemas(path)
    known = before.find(category)
    if known is None:
        some = ", ".join(list(before)[:5]) + (", …" if len(before) > 5 else "")
        raise SchemaError(f"{path} has no category {category!r}; there are {some}")
    found = known.find(attribute)
    if found is None:
        names = ", ".join(a.name for a in known.attributes)
        raise SchemaError(
            f"{path}: category {known.category!r} has no attribute {attribute!r}; it has {names}"
        )
    where = f"{path}: category {known.category!r}, attribute {found.name!r}"
    if found.type is not AttributeType.ENUM:
        raise SchemaError(f"{where}: is a {found.type} and has no list of values; edit it by hand")
    for value in values:
        if value in found.values:
            raise SchemaError(f"{where}: allows {value!r} already")
    content = path.read_bytes()
    after = _appended(content, known.category, found, values)
    return Edit(path, content, after, before, _read_aside(path, after))


def put_in_place(edit: Edit) -> Path:
    """Writes the new file in the place of the old one, of which it returns the copy.

    Raises:
        SchemaError: somebody has changed the file since `edit` was made.
    """
    path = edit.path
    aside = _write_aside(path, edit.after)
    try:
        if path.read_bytes() != edit.before:
            raise SchemaError(f"{path} was changed meanwhile and is left alone; try again")
        shutil.copymode(path, aside)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        backup = path.with_name(f"{path.name}.{stamp}.bak")
        shutil.copy2(path, backup)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return backup


def _appended(content: bytes, category: str, attribute: Attribute, values: Sequence[str]) -> bytes:
    text = content.decode("utf-8")
    categories = json.loads(text)
    for entry in categories[category]["attributes"]:
        if entry["name"] == attribute.name:
            entry["values"] = [*entry["values"], *values]
    indent = re.search(r"\n([ \t]+)\S", text)
    ends = "\n" if text.endswith("\n") else ""
    new = json.dumps(categories, ensure_ascii=False, indent=indent[1] if indent else None) + ends
    return new.encode("utf-8")


def _read_aside(path: Path, content: bytes) -> CategorySchemas:
    aside = _write_aside(path, content)
    try:
        return read_schemas(aside)
    except SchemaError as error:
        raise SchemaError(str(error).replace(str(aside), str(path))) from error
    finally:
        aside.unlink()


def _write_aside(path: Path, content: bytes) -> Path:
    """In the same folder, so that it can take the other one's place in one step."""
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    except OSError as error:
        raise SchemaError(
            f"{path.parent}: {error.strerror}; the schema file is replaced there, so that the "
            "folder must be one that you may write to"
        ) from error
    with os.fdopen(number, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
