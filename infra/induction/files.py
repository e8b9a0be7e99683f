"""`products.jsonl` in, `schema.json` out. The notes stand in the schema in fields that its reader
ignores.

Of a category: `products`, and `left_out`, the attributes that are not asked for, each with `why`
and its `cost`. Of an attribute: `why`, `filled`, `taken_from` (a parent) and `cost`. A cost has
`values`, `left_out`, `reasons` and `examples`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

from infra.induction.costs import Cost
from infra.induction.counting import Entry
from infra.induction.induce import Asked, InducedCategory, Induction
from schemas.errors import ListuneError


class CatalogFileError(ListuneError):
    """A catalog of which no schema can be induced."""


def products_in(path: Path) -> Iterator[Entry]:
    """The products of a catalog that `listune import` wrote, one at a time.

    Raises:
        CatalogFileError: a line is no JSON object.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                entry = None
            if not isinstance(entry, dict):
                raise CatalogFileError(
                    f"{path}, line {number}: is no JSON object; give one object a line"
                )
            yield entry


def write_schema(path: Path, induction: Induction) -> None:
    """Write what was induced as a schema file with its notes. Another that stands there is kept as
    `….before`, since somebody may have edited it; a worker never reads half of a file."""
    content = {one.schema.category: _category(one) for one in induction.categories}
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(text, encoding="utf-8")
    if path.exists() and path.read_bytes() != text.encode():
        copyfile(path, path.with_name(f"{path.name}.before"))
    part.replace(path)


def _category(induced: InducedCategory) -> dict[str, Any]:
    left_out = [
        {"name": one.name, "why": one.why, "cost": _cost(one.cost)} for one in induced.left_out
    ]
    return {
        "products": induced.products,
        "attributes": [_attribute(one) for one in induced.asked],
        **({"left_out": left_out} if left_out else {}),
    }


def _attribute(asked: Asked) -> dict[str, Any]:
    notes: dict[str, Any] = {"why": asked.decision.why, "filled": round(asked.filled, 3)}
    if asked.taken_from is not None:
        notes["taken_from"] = asked.taken_from
    fields = asked.decision.attribute.model_dump(mode="json", exclude_defaults=True)
    return fields | notes | {"cost": _cost(asked.cost)}


def _cost(cost: Cost) -> dict[str, Any]:
    said: dict[str, Any] = {"values": cost.values, "left_out": cost.left_out}
    if cost.left_out:
        said |= {"reasons": dict(cost.reasons), "examples": cost.examples}
    return said
