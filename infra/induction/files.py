"""`products.jsonl` in, `schema.json` out. The notes stand in the schema in fields that its reader
ignores.

Of a category: `products`, and `left_out`, the attributes that are not asked for, each with `why`
and its `cost`. Of an attribute: `why`, `filled`, `taken_from` (a parent) and `cost`. A cost has
`values`, `left_out`, `reasons` and `examples`.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

from infra.catalogs.entries import LineFault, lines, read_entry, texts_of
from infra.induction.costs import Cost
from infra.induction.counting import Entry
from infra.induction.induce import Asked, InducedCategory, Induction
from schemas.category import Attribute, AttributeType
from schemas.texts import comparable, one_line

_TEXT = Attribute(name="text", type=AttributeType.TEXT)


def products_in(path: Path, told: Callable[[int], object] = lambda line: None) -> Iterator[Entry]:
    """The products of a catalog one at a time, as its other readers take them
    (`infra.catalogs.entries`), but that ids are not compared; all values are texts. `told` hears of
    the number of each line that is no product.

    Raises:
        CatalogError: the file cannot be read.
    """
    spelled: dict[str, str] = {}
    for number, line in lines(path):
        try:
            entry, _ = read_entry(line)
        except LineFault:
            told(number)
            continue
        category = one_line(entry["category"])
        entry["category"] = spelled.setdefault(comparable(category), category)
        values = entry.get("catalog") or {}
        yield entry | {"catalog": {name: texts_of(_TEXT, v)[0] for name, v in values.items()}}


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
