"""`if`, `then` and `else` as conditions: an attribute applies only where another has a value.

A schema of ours can say that an attribute does not apply, and so can JSON Schema: `else: {not:
{required: [x]}}`, `x: false`, or a property that only `then` knows. What makes an attribute
required in some cases only, or limits its values, has no words and is counted.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.sources.definitions.document import Rule
from schemas.sources.definitions.kinds import identity, values_of
from schemas.sources.definitions.walking import Leaf, Path, Walk
from schemas.sources.left_out import LeftOut

Conditions = tuple[tuple[str, tuple[str, ...]], ...]


def conditions_of(walked: Walk, left_out: LeftOut) -> dict[Path, Conditions]:
    """By the full path of a leaf, the conditions under which it applies."""
    found: defaultdict[Path, dict[str, tuple[str, ...]]] = defaultdict(dict)
    leaves = {leaf.full: leaf for leaf in walked.leaves}
    for base, rule in walked.rules:
        where = ".".join(base) or "(the schema)"
        values = _values(rule.condition, base)
        without, within = _forbidden(rule.otherwise, base), _forbidden(rule.then, base)
        if not without and not within:
            left_out.note("condition", _unsaid(rule), where)
        elif values is None:
            left_out.note("condition", "is more than a schema can say", where)
        else:
            _add(found, leaves, without, values)
            others = _others(values, leaves)
            if within and others is None:
                left_out.note("condition", "is more than a schema can say", where)
            elif others is not None:
                _add(found, leaves, within, others)
    return {full: tuple(conditions.items()) for full, conditions in found.items()}


def _unsaid(rule: Rule) -> str:
    parts = [part for part in (rule.then, rule.otherwise) if isinstance(part, dict)]
    if parts and all(part.keys() <= {"required"} for part in parts):
        return "makes an attribute required in some cases only"
    return "limits an attribute in some cases only"


def _add(
    found: defaultdict[Path, dict[str, tuple[str, ...]]],
    leaves: Mapping[Path, Leaf],
    paths: Sequence[Path],
    values: Mapping[Path, tuple[str, ...]],
) -> None:
    for path in paths:
        for full in leaves:
            if full[: len(path)] == path:
                found[full] |= {identity(other): own for other, own in values.items()}


def _values(condition: Any, base: Path) -> dict[Path, tuple[str, ...]] | None:
    """The values that attributes must have, by their full paths; None where it says anything else.

    `required` beside it says that the attribute is there, which a value of it says, too.
    """
    if not isinstance(condition, dict):
        return None
    found: dict[Path, tuple[str, ...]] = {}
    for keyword, inner in condition.items():
        parts: list[dict[Path, tuple[str, ...]] | None] = []
        match keyword:
            case "required" | "type" | "minItems" | "title" | "description" | "$comment":
                continue
            case "properties" if isinstance(inner, dict):
                parts = [_values(one, (*base, name)) for name, one in inner.items()]
            case "items" | "contains":
                parts = [_values(inner, base)]
            case "allOf" if isinstance(inner, list):
                parts = [_values(one, base) for one in inner]
            case "enum" if isinstance(inner, list):
                parts = [{base: tuple(map(_code, inner))}]
            case "const":
                parts = [{base: (_code(inner),)}]
            case _:
                return None
        for part in parts:
            if part is None:
                return None
            found |= part
    return found or None


def _code(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _others(
    values: Mapping[Path, tuple[str, ...]], leaves: Mapping[Path, Leaf]
) -> dict[Path, tuple[str, ...]] | None:
    """The values under which a condition on one closed attribute does not hold."""
    if len(values) != 1:
        return None
    ((full, own),) = values.items()
    leaf = leaves.get(full)
    if leaf is None or leaf.schema.open:
        return None
    if leaf.schema.types == {"boolean"}:
        codes = ["yes", "no"]
    else:
        codes = [value.code for value in values_of(leaf.schema)]
    left = tuple(code for code in codes if code not in own)
    return {full: left} if left else None


def _forbidden(branch: Any, base: Path) -> list[Path]:
    """The attributes, or objects of them, that must not be there."""
    if not isinstance(branch, dict):
        return []
    found: list[Path] = []
    parts = branch.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        found += _forbidden(part, base)
    for name in ("items", "contains"):
        found += _forbidden(branch.get(name), base)
    properties = branch.get("properties")
    named = properties if isinstance(properties, dict) else {}
    for name, inner in named.items():
        found += [(*base, name)] if inner is False else _forbidden(inner, (*base, name))
    return [*found, *((*base, name) for name in _never(branch.get("not")))]


def _never(schema: Any) -> list[str]:
    """`{required: [x]}` or `{anyOf: [{required: [x]}, …]}` behind a `not`."""
    if not isinstance(schema, dict):
        return []
    if schema.keys() == {"anyOf"} and isinstance(schema["anyOf"], list):
        return [name for one in schema["anyOf"] for name in _never(one)]
    names = schema.get("required")
    # `not: {required: [x, y]}` forbids both together, and not each.
    if schema.keys() != {"required"} or not isinstance(names, list) or len(names) != 1:
        return []
    return [name for name in names if isinstance(name, str)]
