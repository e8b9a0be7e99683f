"""The files of the Shopify taxonomy as lists and objects; what is wrong with one is a sentence."""

import re
from pathlib import Path
from typing import Any

import yaml

from schemas.errors import SchemaError

_DEEPEST = 1_000
_BRACKET = re.compile(rb"[\[\]{}]")
_DASHES = re.compile(rb"(?:[-?:][ \t]+){%d}" % _DEEPEST)
# libyaml parses the taxonomy's 4 MB in three seconds, the pure Python loader in half a minute.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def entries(file: Path, content: Any, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """`content` as a list of objects that all have `fields`."""
    if not isinstance(content, list):
        raise SchemaError(f"{file}: should be a list; is it a file of the taxonomy?")
    for number, entry in enumerate(content, 1):
        lacking = [f for f in fields if not isinstance(entry, dict) or f not in entry]
        if lacking:
            label = entry.get("name", number) if isinstance(entry, dict) else number
            raise SchemaError(f"{file}: entry {label!r}: has no `{lacking[0]}`; add it")
    return content


def named_entries(
    file: Path, content: Any, texts: tuple[str, ...], lists: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """`content` as a list of objects that all have `texts`, and `lists` of texts."""
    found = entries(file, content, texts + lists)
    for entry in found:
        for name in texts:
            if not isinstance(entry[name], str) or not entry[name].strip():
                raise SchemaError(
                    f"{file}: entry {str(entry['name'])[:60]!r}: `{name}` should be a text that is "
                    "not empty; write it in quotes"
                )
        for name in lists:
            inner = entry[name]
            if not isinstance(inner, list) or not all(isinstance(one, str) for one in inner):
                raise SchemaError(
                    f"{file}: entry {entry['name'][:60]!r}: `{name}` should be a list of texts"
                )
    return found


def load(file: Path) -> Any:
    """The content of a YAML file.

    Raises:
        SchemaError: it cannot be read, is no YAML or nested too deep.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SchemaError(f"{file}: {error.strerror}; give the taxonomy's `data` folder") from error
    if _is_deep(content):
        raise SchemaError(f"{file}: nested too deep; give a file of the taxonomy as it is")
    try:
        return yaml.load(content, _Loader)
    except (yaml.YAMLError, ValueError) as error:  # a date that is in no calendar, too
        raise SchemaError(f"{file}: not YAML: {' '.join(str(error).split())}") from error


def _is_deep(content: bytes) -> bool:
    """Whether `content` may be nested deeper than `_DEEPEST`: libyaml's loader recurses without
    looking, and takes the process with it at some ten thousand levels."""
    depth = deepest = 0
    for found in _BRACKET.finditer(content):
        depth = depth + 1 if found[0] in b"[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest > _DEEPEST or _DASHES.search(content) is not None
