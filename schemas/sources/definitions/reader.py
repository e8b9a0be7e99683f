"""JSON Schema files as a source: a file is a category, and its properties are the attributes.

A nested attribute is named by its path with dots, `battery.weight`: that is what the source knows
it by, no two are the same, and it can be sent back. Its `title` is an alias, so that a catalog that
has the titles fits, too. Allowed values are written by their `enumNames` where there are any.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from schemas.category import MAX_NAME_LENGTH
from schemas.errors import SchemaError
from schemas.sources.definitions.amazon import is_amazons
from schemas.sources.definitions.conditions import conditions_of
from schemas.sources.definitions.document import Document
from schemas.sources.definitions.kinds import draft_of
from schemas.sources.definitions.walking import Walk, walk
from schemas.sources.drafts import Draft
from schemas.sources.files import loaded
from schemas.sources.left_out import LeftOut
from schemas.sources.source import Source, SourceCategory
from schemas.texts import is_cut, one_line


def read_definitions(paths: Sequence[Path]) -> Source:
    """The categories in JSON Schema files, and in the `.json` files of folders.

    Raises:
        SchemaError: a file cannot be read, or is no JSON Schema of an object.
    """
    files = [file for path in paths for file in _files(path)]
    left_out = LeftOut()
    categories = [_category(file, left_out) for file in files]
    return Source(categories, left_out)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.json"))
    if not found:
        raise SchemaError(f"{path}: has no .json files; give JSON Schema files, or their folder")
    return found


def _category(file: Path, left_out: LeftOut) -> SourceCategory:
    root = loaded(file)
    if not isinstance(root, dict):
        raise SchemaError(f"{file}: is no object; give a JSON Schema of an object")
    link = root.get("schema")
    if isinstance(link, dict) and "link" in link:
        raise SchemaError(
            f"{file}: is the answer that links to the schema; fetch what its schema.link.resource "
            "names and give that file"
        )
    if not root.keys() & {"properties", "$ref", "allOf", "oneOf", "anyOf"}:
        raise SchemaError(f"{file}: has no `properties`; give a JSON Schema of an object")
    name, also = _names(file, root)
    return SourceCategory(name, (name,), partial(_drafts, file, root, left_out), also)


def _names(file: Path, root: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """What the category is called: an Amazon product type by its id, others by their title."""
    identity = root.get("$id")
    last = identity.rstrip("/#").rpartition("/")[2] if isinstance(identity, str) else ""
    last = last.removesuffix(".json").removesuffix(".schema")
    title = root.get("title") if isinstance(root.get("title"), str) else ""
    ref = root.get("$ref")
    if not title and isinstance(ref, str):  # {"$ref": "#/$defs/Kettle", "$defs": …}
        title = ref.rpartition("/")[2]
    given = (last, title, file.stem) if is_amazons(root) else (title, last, file.stem)
    names = [one_line(str(name)) for name in given if name and not is_cut(str(name))]
    names = [name for name in names if name] or ["schema"]
    return names[0], tuple(dict.fromkeys(names[1:]))


def _drafts(file: Path, root: dict[str, Any], left_out: LeftOut) -> Iterable[Draft]:
    try:
        walked = walk(Document(file, root, left_out))
        applies = conditions_of(walked, left_out)
    except RecursionError as error:
        raise SchemaError(f"{file}: nested too deep to be a schema of a product") from error
    aliases = _aliases(walked)
    for leaf in walked.leaves:
        draft = draft_of(leaf, left_out)
        if draft is None:
            continue
        if leaf.full in aliases:
            draft.fields["aliases"] = (aliases[leaf.full],)
        if applies.requires(leaf.full):
            draft.fields["required"] = True
        yield replace(draft, when=applies.when.get(leaf.full, ()))


def _aliases(walked: Walk) -> dict[tuple[str, ...], str]:
    """The titles that are nobody else's."""
    titles = {leaf.full: one_line(leaf.title) for leaf in walked.leaves}
    times = Counter(titles.values())
    names = {".".join(leaf.path) for leaf in walked.leaves}
    return {
        full: title
        for full, title in titles.items()
        if title and times[title] == 1 and title not in names
        and len(title) <= MAX_NAME_LENGTH and not is_cut(title)
    }  # fmt: skip
