"""`if`, `then` and `else` as conditions: an attribute applies only where another has a value.

A schema of ours can say that an attribute does not apply, and so can JSON Schema: `else: {not:
{required: [x]}}`, `x: false`, or a property that only `then` knows. What makes an attribute
required in some cases only, or limits its values, has no words and is counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.sources.definitions.document import Rule
from schemas.sources.definitions.kinds import identity, values_of
from schemas.sources.definitions.walking import VALUE, Leaf, Path, Walk
from schemas.sources.left_out import LeftOut

Conditions = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Applies:
    """By the full path of a leaf, the conditions under which it applies; and which leaves, or
    objects of them, are required where they do."""

    when: Mapping[Path, Conditions]
    required: frozenset[Path]

    def requires(self, full: Path) -> bool:
        """Whether what is at the path is required where it applies."""
        around = full[:-1] if full[-1] == VALUE else full
        return full in self.required or around in self.required


def conditions_of(walked: Walk, left_out: LeftOut) -> Applies:
    """What the rules of a schema say; what has no words is counted."""
    found: defaultdict[Path, dict[str, tuple[str, ...]]] = defaultdict(dict)
    required: set[Path] = set()
    leaves = {leaf.full: leaf for leaf in walked.leaves}
    for base, written in walked.rules:
        rule = _straight(written)
        where = ".".join(base) or "(the schema)"
        values = _values(rule.condition, base)
        others = _others(values, leaves) if values is not None else None
        for forbids, needs, holds in (
            (rule.otherwise, rule.then, values),
            (rule.then, rule.otherwise, others),
        ):
            gone = _forbidden(forbids, base)
            if gone and holds is None:
                left_out.note("condition", "is more than a schema can say", where)
            elif gone and holds is not None:
                _add(found, leaves, gone, holds)
            said = [path for path in gone if path in _required(needs, base)]
            required.update(said)
            for reason in _unsaid(needs, base, said):
                left_out.note("condition", reason, where)
    when = {full: tuple(conditions.items()) for full, conditions in found.items()}
    return Applies(when, frozenset(required))


def _straight(rule: Rule) -> Rule:
    """`rule` without a `not` around its condition, the branches swapped."""
    while isinstance(rule.condition, dict) and rule.condition.keys() == {"not"}:
        rule = Rule(rule.condition["not"], rule.otherwise, rule.then)
    return rule


def _required(branch: Any, base: Path) -> list[Path]:
    names = branch.get("required") if isinstance(branch, dict) else None
    return [(*base, n) for n in names if isinstance(n, str)] if isinstance(names, list) else []


def _unsaid(branch: Any, base: Path, said: Sequence[Path]) -> Iterator[str]:
    """Reasons for what else a branch says."""
    if not isinstance(branch, dict):
        return
    if any(path not in said for path in _required(branch, base)):
        yield "makes an attribute required in some cases only"
    rest = branch.keys() - {"required", "title", "description", "$comment", "type"}
    if "not" in rest and _never(branch["not"]):
        rest -= {"not"}
    properties = branch.get("properties")
    if isinstance(properties, dict) and all(inner is False for inner in properties.values()):
        rest -= {"properties"}
    if rest:
        yield "limits an attribute in some cases only"


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
            case "anyOf" if isinstance(inner, list):
                parts = [_any(_values(one, base) for one in inner)]
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


def _any(
    branches: Iterable[dict[Path, tuple[str, ...]] | None],
) -> dict[Path, tuple[str, ...]] | None:
    """Either of several values of one attribute; None for more than one attribute."""
    found: dict[Path, tuple[str, ...]] = {}
    for branch in branches:
        if branch is None or len(branch) != 1:
            return None
        ((path, values),) = branch.items()
        found[path] = tuple(dict.fromkeys((*found.get(path, ()), *values)))
    return found if len(found) == 1 else None


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
