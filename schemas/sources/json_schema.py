"""Category schemas in the project's JSON format: one object, category to its attributes.

    {"Lamps": {"attributes": [
        {"name": "Colour", "type": "enum", "values": ["red", "blue"], "multi_value": false},
        {"name": "Height", "type": "number", "units": ["cm"], "minimum": 0}]}}

Fields are those of `schemas.category.Attribute`, and beside "attributes" those of
`schemas.category.CategorySchema`; unknown ones are ignored, so that a file may carry
its own notes. A category may ask for nothing. Every fault is one `SchemaError` that names the file,
the category, the attribute and what is wrong.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.category import Attribute, CategorySchema, CategorySchemas
from schemas.errors import SchemaError
from schemas.texts import HALF_CHARACTER, is_cut, is_cut_json

logger = logging.getLogger(__name__)


def read_schemas(path: Path, alternatives: bool = False) -> CategorySchemas:
    """The category schemas that stand in the JSON file `path`.

    Args:
        path: the schema file, UTF-8.
        alternatives: several catalog values are spellings of one value, any of which is right, so
            no attribute takes several: `multi_value` is switched off.

    Raises:
        SchemaError: the file cannot be read, or a category or an attribute in it is wrong.
    """
    content = _load(path)
    if not isinstance(content, dict):
        raise SchemaError(
            f"{path}: the top level is {_kind(content)}; make it an object of category to "
            '{"attributes": [...]}'
        )
    schemas = [_category(path, name, entry, alternatives) for name, entry in content.items()]
    try:
        return CategorySchemas(schemas)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from error


def write_schemas(path: Path, schemas: Mapping[str, CategorySchema]) -> None:
    """Write `schemas` so that `read_schemas` gives the same again; defaults are left out."""
    content = {
        category: schema.model_dump(
            mode="json", exclude_defaults=True, exclude={"category", "attributes"}
        )
        | {
            "attributes": [
                a.model_dump(mode="json", exclude_defaults=True) for a in schema.attributes
            ],
        }
        for category, schema in schemas.items()
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


class _DuplicateKey(ValueError):
    """An object has the same key twice; JSON readers disagree about which one counts."""


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SchemaError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise SchemaError(f"{path}: {reason}; give the path of a schema file") from error
    try:
        content = json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise SchemaError(
            f"{path}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from error
    except _DuplicateKey as error:
        raise SchemaError(f"{path}: the key {error} stands twice in one object") from error
    except RecursionError as error:
        raise SchemaError(f"{path}: nested too deep to be a schema") from error
    if is_cut_json(text) and isinstance(content, dict):
        raise SchemaError(f"{path}: {_first_cut(content)}: {HALF_CHARACTER}")
    return content


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKey(repr(next(key for key in keys if keys.count(key) > 1)))
    return content


def _first_cut(content: dict[str, Any]) -> str | None:
    """Where the first half of a character stands: `category 'Lamps', attribute 'Colour'`."""
    for name, entry in content.items():
        if not _is_cut([name, entry]):
            continue
        items = entry.get("attributes") if isinstance(entry, dict) else None
        named = items if isinstance(items, list) else []
        place = next((n for n, item in enumerate(named, 1) if _is_cut(item)), None)
        if place is None:
            return f"category {name!r}"
        item = named[place - 1]
        label = item.get("name") if isinstance(item, dict) else None
        return f"category {name!r}, attribute {label or place!r}"
    return None


def _is_cut(content: Any) -> bool:
    return is_cut(json.dumps(content, ensure_ascii=False))


def _category(path: Path, name: str, entry: Any, alternatives: bool) -> CategorySchema:
    where = f"{path}: category {name!r}"
    if not isinstance(entry, dict) or not isinstance(entry.get("attributes"), list):
        raise SchemaError(f'{where}: give an object with a list "attributes"')
    attributes = [
        _attribute(where, number, item, alternatives)
        for number, item in enumerate(entry["attributes"], 1)
    ]
    try:
        schema = CategorySchema.model_validate(
            entry | {"category": name, "attributes": tuple(attributes)}
        )
    except ValidationError as error:
        raise SchemaError(f"{where}: {_first(error)}") from error
    for attribute in schema.attributes:
        if attribute.is_numbered_identifier:
            logger.warning(
                "%s, attribute %r: is an identifier and no number: 007 and 7 would be the same; "
                "make it a pattern, such as [0-9]{8,14}",
                where,
                attribute.name,
            )
    return schema


def _attribute(where: str, number: int, item: Any, alternatives: bool) -> Attribute:
    if not isinstance(item, dict):
        raise SchemaError(f"{where}, attribute {number}: is {_kind(item)}; make it an object")
    name = item.get("name")
    label = repr(name) if isinstance(name, str) and name else str(number)
    try:
        return Attribute.model_validate(item | {"multi_value": False} if alternatives else item)
    except ValidationError as error:
        raise SchemaError(f"{where}, attribute {label}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    """The first fault of a model, in words: `type: Input should be …`."""
    fault = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    return f"`{field}`: {message}" if field else message


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")
