"""JSON and Parquet as flat rows of texts.

Objects in objects are columns with dots (`size.width`); a list of texts is one cell whose items
part at `ITEM`; a list of `{name, value}` objects is a column for each name. Numbers stay as they
are written. DuckDB streams arrays and Parquet.
"""

import ast
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from infra.importing import delimited
from infra.importing.errors import ImportFault
from schemas.texts import without_halves

ITEM = "\x1f"
"""Parts the items of a list in one cell: ASCII's unit separator, which no text has."""
LONGEST_OBJECT = 1 << 26
LONGEST_LITERAL = 100_000
DEEPEST = 8
MOST_ITEMS = 50
_NAMES = ("name", "key", "attribute", "label", "attribute_name", "property", "code")
_VALUES = ("value", "values", "val", "attribute_value", "data")
_BATCH = 1_000
_RECORD = re.compile(r"Malformed JSON .* in record/value (\d+)")
_SINGLE = re.compile(r"\bFLOAT\b")


def jsonl_rows(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, str] | str]]:
    """The objects of `path`, one a line, flat; a line that is none is a sentence instead."""
    # Only a line feed ends a line: JSON allows all others inside of a text.
    with io.TextIOWrapper(
        delimited.open_bytes(path), encoding, "surrogateescape", newline="\n"
    ) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _object(line)


def _object(text: str) -> dict[str, str] | str:
    text = text.strip()
    try:
        entry = _loads(text[:-1] if text.endswith("},") else text)
    except RecursionError:
        return "is nested too deep; give objects"
    except ValueError as error:
        return f"is not JSON ({error}); give objects"
    return flat(entry) if isinstance(entry, dict) else "is not an object; give objects"


def json_rows(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, str] | str]]:
    """The objects of an array, or of the one list that an object has, flat and by their number;
    one that cannot be read is a sentence instead."""
    if encoding not in ("utf-8", "ascii") or _begins_with(path) != "[":
        yield from enumerate(map(flat, _listed(path, encoding)), 1)
        return
    number = 0
    con = duckdb.connect(config={"threads": 1})  # Python is what takes the time
    try:
        con.execute(
            "SELECT json FROM read_json_objects($1, format = 'array', maximum_object_size = $2, "
            "compression = $3)",
            [str(path), LONGEST_OBJECT, "gzip" if delimited.is_packed(path) else "uncompressed"],
        )
        while batch := con.fetchmany(_BATCH):
            for (text,) in batch:
                number += 1
                yield number, _object(text)
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        if (place := _RECORD.search(said)) is not None:  # it counts the bracket as one
            said = f"is no whole JSON array: it breaks near its item {int(place[1]) - 1}"
        raise ImportFault(f"{path}: {said}; mend it, or give an array of objects") from error
    finally:
        con.close()


def parquet_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a Parquet file, flat."""
    con = duckdb.connect(config={"threads": 1})  # Python is what takes the time
    try:
        result = con.execute(
            "SELECT to_json(t)::VARCHAR FROM "
            f"(SELECT {_columns(con, path)} FROM read_parquet($1)) t",
            [str(path)],
        )
        while batch := result.fetchmany(_BATCH):
            for (text,) in batch:
                yield flat(_loads(text))
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        raise ImportFault(f"{path}: {said}; give a whole Parquet file") from error
    finally:
        con.close()


def _columns(con: duckdb.DuckDBPyConnection, path: Path) -> str:
    """The columns; single precision as text, since 0.1 is 0.10000000149011612 in JSON."""
    described = con.execute("DESCRIBE SELECT * FROM read_parquet($1)", [str(path)]).fetchall()
    casts = [
        f'"{name}"::{_SINGLE.sub("VARCHAR", kind)} AS "{name}"'
        for name, kind in ((str(one[0]).replace('"', '""'), one[1]) for one in described)
        if _SINGLE.search(kind)
    ]
    return f"* REPLACE ({', '.join(casts)})" if casts else "*"


def column_name(written: str) -> str:
    """A column's name that a map can have: no half characters, no constant's sign."""
    return " ".join(without_halves(written).split()).lstrip("\ufeff= ")


def flat(entry: Mapping[str, Any]) -> dict[str, str]:
    """`entry` as columns of texts; what is empty is left out."""
    cells: dict[str, str] = {}
    _flatten(entry, "", cells, 0)
    return cells


def structure(cell: str) -> Any:
    """The object or list that a cell is, as JSON, as Ruby or as Python writes it; else None."""
    text = cell.strip()
    if text[:1] + text[-1:] not in ("{}", "[]"):
        return None
    for candidate in (text, text.replace("=>", ": ").replace(": nil", ": null")):
        try:
            return _loads(candidate)
        except (ValueError, RecursionError):
            continue
    try:
        return ast.literal_eval(text) if len(text) <= LONGEST_LITERAL else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def expanded(cells: dict[str, str], columns: Sequence[str]) -> dict[str, str]:
    """`cells` with those of `columns` as columns and lists of their own; what is none stays."""
    found: dict[str, str] = {}
    for name, cell in cells.items():
        value = structure(cell) if name in columns else None
        _flatten(cell if value is None else value, name, found, 0)
    return found


def _flatten(value: Any, name: str, cells: dict[str, str], depth: int) -> None:
    if isinstance(value, Mapping) and depth < DEEPEST:
        for key, inner in value.items():
            part = column_name(str(key))
            _flatten(inner, f"{name}.{part}" if name else part, cells, depth + 1)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value[:MOST_ITEMS], 1):
            named = _named(item)
            label = str(number) if named is None else column_name(named[0])
            _flatten(item if named is None else named[1], f"{name}.{label}", cells, depth + 1)
    elif isinstance(value, list):
        _add(cells, name, ITEM.join(text for text in map(_text, _items(value)) if text))
    else:
        _add(cells, name, _text(value))


def _items(values: list[Any]) -> Iterator[Any]:
    """The items of a list, and those of the lists in it."""
    for value in values:
        if isinstance(value, list):
            yield from _items(value)
        else:
            yield value


def _add(cells: dict[str, str], name: str, text: str) -> None:
    """A name that comes twice has several values."""
    if text and not text.isspace():
        cells[name] = f"{cells[name]}{ITEM}{text}" if name in cells else text


def _named(item: Any) -> tuple[str, Any] | None:
    """Name and value of an object that has both, as `{"name": "Color", "value": "red"}`."""
    if not isinstance(item, Mapping):
        return None
    name = next((item[key] for key in _NAMES if isinstance(item.get(key), str)), None)
    value = next((item[key] for key in _VALUES if key in item), None)
    return None if not name or value is None else (name, value)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


def _loads(text: str) -> Any:
    return json.loads(text, parse_float=_Written, parse_int=_Written)


class _Written(str):
    """A number as it is written: 1.50 stays 1.50."""


def _begins_with(path: Path) -> str:
    with delimited.open_bytes(path) as file:
        return file.read(4096).lstrip().decode("utf-8", "replace")[:1]


def _listed(path: Path, encoding: str) -> list[dict[str, Any]]:
    """The objects of a file that has to be read whole: not UTF-8, or a list inside an object."""
    with delimited.open_bytes(path) as file:
        text = file.read().decode(encoding, "surrogateescape")
    try:
        content = _loads(text)
    except (ValueError, RecursionError) as error:
        raise ImportFault(f"{path}: not JSON ({error}); give an array of objects") from error
    # A product has a name beside its lists, what only wraps products has none.
    while isinstance(content, dict) and not {"title", "name", "id", "sku"} & content.keys():
        within = [v for v in content.values() if isinstance(v, dict) or _has_objects(v)]
        if len(within) != 1:
            break
        content = within[0]
    several = content if isinstance(content, list) else [content]
    found = [entry for entry in several if isinstance(entry, dict)]
    if not found:
        raise ImportFault(f"{path}: has no objects; give an array of objects, or one a line")
    return found


def _has_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)
