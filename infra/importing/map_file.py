"""`map.toml`: an import map as text, with the reason of each guess as a comment above its key.

What is as by default is left out, but for what a reader is most likely to change. Written again,
a map is the same text.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from infra.importing.errors import ImportFault
from infra.importing.map import ImportMap, Reasons

HEAD = """\
# What `listune import` made of the columns. Edit it and give it back by --map.
# A column is its name, a list of names to join, or "=…" for a constant.
"""
_ALWAYS = {
    ("values", name)
    for name in ("list_separator", "decimal_mark", "date_format", "true_words", "false_words")
} | {("file", "format")}


def read_map(path: Path) -> ImportMap:
    """The map that stands in `path`.

    Raises:
        ImportFault: the file cannot be read, or is no map; says which key is wrong.
    """
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        return ImportMap.model_validate(content)
    except OSError as error:
        raise ImportFault(f"{path}: {error.strerror}; give the path of a map.toml") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ImportFault(f"{path}: not TOML: {error}; mend it or import without --map") from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ImportFault(f"{path}: {where}: {fault['msg']}; see docs/import.md") from error


def map_text(import_map: ImportMap, reasons: Reasons) -> str:
    """`import_map` as TOML with `reasons` as comments."""
    content = import_map.model_dump(mode="json", exclude_defaults=True)
    whole = import_map.model_dump(mode="json")
    for section in {section for section, _ in _ALWAYS}:
        kept = content.get(section, {})
        content[section] = {  # in the order of the model
            name: value
            for name, value in whole[section].items()
            if name in kept or (section, name) in _ALWAYS
        }
    parts = [HEAD]
    for section in ImportMap.model_fields:
        entries = content.get(section)
        notes = _comment(reasons.get((section,), ""))
        if isinstance(entries, list):
            blocks = [f"[[{section}]]\n{_lines((section,), entry, {})}" for entry in entries]
            parts.append(notes + "\n".join(blocks)) if blocks or notes else None
        elif entries or notes:
            parts.append(f"{notes}[{section}]\n{_lines((section,), entries or {}, reasons)}")
    return "\n".join(parts)


def _lines(path: tuple[str, ...], entries: Mapping[str, Any], reasons: Reasons) -> str:
    lines = []
    for name, value in entries.items():
        if value is None:
            continue
        lines.append(_comment(reasons.get((*path, name), "")))
        lines.append(f"{_key(name)} = {_inline(value)}\n")
    return "".join(lines)


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())


def _key(name: str) -> str:
    return tomli_w.dumps({name: 0}).rpartition(" = ")[0]


def _inline(value: Any) -> str:
    """A value on one line; a nested table as an inline one."""
    if isinstance(value, Mapping):
        kept = ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items() if v is not None)
        return f"{{ {kept} }}" if kept else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_inline(item) for item in value)}]"
    return tomli_w.dumps({"k": value}).partition(" = ")[2].rstrip("\n")
