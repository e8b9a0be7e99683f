"""One JSON Schema document, drafts 2019-09 and 2020-12 (and what draft 7 has in common with them).

`merged` gives a schema as one object: its `$ref` followed, its `allOf` put together, and of `anyOf`
and `oneOf` what a schema of ours can have. `if`, `then` and `else` stay, as `rules`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from schemas.errors import SchemaError
from schemas.sources.left_out import LeftOut

MOST_PARTS = 200_000
"""Schemas that are looked at, refs followed: ten levels of ten refs each would be ten billion. The
largest product types have some thousand."""
DEEPEST = 64
_LEAST = ("maximum", "maxLength", "maxItems", "maxUniqueItems", "maxUtf8ByteLength",
          "exclusiveMaximum")  # fmt: skip
_MOST = ("minimum", "minLength", "minItems", "exclusiveMinimum")


@dataclass(frozen=True)
class Rule:
    """`if` with `then` and `else`."""

    condition: Any
    then: Any = True
    otherwise: Any = True


@dataclass
class Merged:
    """A schema as one object, its rules, and the refs that were followed to it.

    open: other values than those of `enum` are right, too.
    """

    keywords: dict[str, Any] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    refs: frozenset[str] = frozenset()
    open: bool = False

    @property
    def types(self) -> frozenset[str]:
        """The types, without null; none where the schema does not say."""
        written = self.keywords.get("type")
        names = written if isinstance(written, list) else [written]
        return frozenset(name for name in names if isinstance(name, str)) - {"null"}

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties of an object; none of anything else."""
        found = self.keywords.get("properties")
        return found if isinstance(found, dict) else {}


class Document:
    """A schema file and where its `$ref`s lead to."""

    def __init__(self, path: Path, root: Mapping[str, Any], left_out: LeftOut) -> None:
        self.path = path
        self.root = root
        self.left_out = left_out
        self._parts = 0

    def merged(self, schema: Any, where: str, refs: frozenset[str] = frozenset()) -> Merged | None:
        """`schema` as one object; None where it is none, or cannot be followed, which is counted.

        Raises:
            SchemaError: there is no end to it.
        """
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise SchemaError(
                f"{self.path}: has more than {MOST_PARTS:,} parts when its $refs are followed; "
                "give a schema of one kind of product"
            )
        if not isinstance(schema, dict):
            return None
        found = Merged(dict(schema), refs=refs)
        for keyword in ("$ref", "allOf", "anyOf", "oneOf", "if", "then", "else"):
            found.keywords.pop(keyword, None)
        if "if" in schema:
            found.rules.append(
                Rule(schema["if"], schema.get("then", True), schema.get("else", True))
            )
        if "$ref" in schema and not self._follow(schema["$ref"], where, found):
            return None
        # Each branch by itself: two that refer to the same are no circle.
        before = found.refs
        for keyword in ("allOf", "anyOf", "oneOf"):
            parts = [self.merged(one, where, before) for one in _list(schema.get(keyword))]
            branches = [one for one in parts if one is not None]
            if keyword == "allOf":
                for one in branches:
                    _join(found, one)
            else:
                _choose(found, branches, where, self.left_out)
            found.refs = found.refs.union(*(one.refs for one in branches))
        return found

    def _follow(self, ref: Any, where: str, found: Merged) -> bool:
        own = self.root.get("$id")
        if isinstance(ref, str) and isinstance(own, str) and own:
            ref = ref.removeprefix(own.rstrip("#"))
        if not isinstance(ref, str) or not ref.startswith("#"):
            self.left_out.note("attribute", "refers to another file", f"{where}: {ref}")
            return False
        if ref in found.refs or len(found.refs) > DEEPEST:
            self.left_out.note("attribute", "refers to itself", f"{where}: {ref}")
            return False
        target = self._at(ref)
        if target is None:
            self.left_out.note("attribute", "refers to what is not there", f"{where}: {ref}")
            return False
        other = self.merged(target, where, found.refs | {ref})
        if other is None:
            return False
        _join(found, other)
        found.refs = other.refs
        return True

    def _at(self, ref: str) -> Any:
        """What a JSON pointer or an anchor leads to; None for nothing."""
        pointer = unquote(ref[1:])
        if pointer and not pointer.startswith("/"):
            return self._anchored(pointer)
        here: Any = self.root
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(here, list) and key.isdecimal() and int(key) < len(here):
                here = here[int(key)]
            elif isinstance(here, dict) and key in here:
                here = here[key]
            else:
                return None
        return here

    def _anchored(self, name: str) -> Any:
        for keyword in ("$defs", "definitions"):
            inner = self.root.get(keyword)
            for schema in inner.values() if isinstance(inner, dict) else ():
                if isinstance(schema, dict) and schema.get("$anchor") == name:
                    return schema
        return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _join(found: Merged, other: Merged) -> None:
    """What holds where both do; of what can be said once the first stays."""
    ours, theirs = found.keywords, other.keywords
    properties = dict(found.properties)
    for name, schema in other.properties.items():
        known = name in properties and properties[name] != schema
        properties[name] = {"allOf": [properties[name], schema]} if known else schema
    required = [*_list(ours.get("required")), *_list(theirs.get("required"))]
    for keyword, value in theirs.items():
        ours[keyword] = _both(keyword, ours[keyword], value) if keyword in ours else value
    if properties:
        ours["properties"] = properties
    if required:
        ours["required"] = required
    found.rules += other.rules
    found.open = found.open or other.open


def _both(keyword: str, ours: Any, theirs: Any) -> Any:
    if keyword in _LEAST + _MOST and _is_number(ours) and _is_number(theirs):
        return min(ours, theirs) if keyword in _LEAST else max(ours, theirs)
    if keyword == "enum" and isinstance(ours, list) and isinstance(theirs, list):
        return [value for value in ours if value in theirs] or ours
    if keyword == "items" and ours != theirs:
        return {"allOf": [ours, theirs]}
    return ours


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _choose(found: Merged, branches: list[Merged], where: str, left_out: LeftOut) -> None:
    """Put the branches of `anyOf` or `oneOf` into `found`."""
    branches = [one for one in branches if one.keywords.get("type") != "null"]
    if not branches:
        return
    if len(branches) == 1:
        _join(found, branches[0])
    elif any(one.properties for one in branches):
        _choose_objects(found, branches, where, left_out)
    elif any(allowed_of(one) for one in branches):
        _choose_values(found, branches)
    elif all("format" in one.keywords for one in branches):
        dates = [one for one in branches if one.keywords["format"] == "date"]
        _join(found, (dates or branches)[0])
    elif not all(set(one.keywords) <= {"required", "not"} for one in branches):
        left_out.note("limit", "is one of several forms: the first is taken", where)
        _join(found, branches[0])
    else:
        left_out.note("condition", "is a choice of which attributes are required", where)


def _choose_values(found: Merged, branches: Iterable[Merged]) -> None:
    """A list of values; with another branch without one any other value is right, too."""
    values: list[Any] = []
    names: list[Any] = []
    for one in branches:
        allowed = allowed_of(one)
        titles = one.keywords.get("enumNames")
        if not isinstance(titles, list) or len(titles) != len(allowed):
            title = one.keywords.get("title") if "const" in one.keywords else None
            titles = [title] * len(allowed)
        values += allowed
        names += titles
        if not allowed:
            found.open = True
        rest = {
            k: v
            for k, v in one.keywords.items()
            if k not in ("enum", "enumNames", "const", "title")
        }
        _join(found, Merged(rest))
    found.keywords["enum"] = values
    if any(names):
        found.keywords["enumNames"] = [
            value if name is None else name for value, name in zip(values, names, strict=True)
        ]


def allowed_of(one: Merged) -> list[str | int | float]:
    """The values of `const` or `enum`; null stands for none, and a list or an object for none that
    a schema can have."""
    keywords = one.keywords
    found = [keywords["const"]] if "const" in keywords else _list(keywords.get("enum"))
    return [value for value in found if isinstance(value, str | int | float)]


def _choose_objects(found: Merged, branches: list[Merged], where: str, left_out: LeftOut) -> None:
    """The properties of all branches, each where the property that tells them apart says so."""
    tells = next((n for n in branches[0].properties if all(_says(b, n) for b in branches)), None)
    if tells is None:
        left_out.note("condition", "is a choice between forms that no value tells apart", where)
    properties: dict[str, Any] = {}
    for name in dict.fromkeys(name for branch in branches for name in branch.properties):
        having = [branch for branch in branches if name in branch.properties]
        first = having[0].properties[name]
        if name == tells:
            values = [value for branch in branches for value in _says(branch, name)]
            properties[name] = {**first, "enum": list(dict.fromkeys(values))}
            properties[name].pop("const", None)
            continue
        if any(branch.properties[name] != first for branch in having):
            left_out.note("limit", "differs between forms: the first is taken", f"{where}: {name}")
        if name in found.properties:
            left_out.note("condition", "limits an attribute in some cases only", f"{where}: {name}")
            continue
        properties[name] = first
        if tells is not None and len(having) < len(branches):
            found.rules.append(_only_in(having, tells, name))
    shared = set.intersection(*(set(_required(branch)) for branch in branches))
    rules = [rule for branch in branches for rule in branch.rules]
    keywords = {"type": "object", "properties": properties, "required": sorted(shared)}
    _join(found, Merged(keywords, rules))


def _only_in(having: list[Merged], tells: str, name: str) -> Rule:
    """That the property `name` is only there where `tells` has a value of the branches with it."""
    values = [value for branch in having for value in _says(branch, tells)]
    needed = all(name in _required(branch) for branch in having)
    return Rule(
        {"properties": {tells: {"enum": values}}},
        {"required": [name]} if needed else True,
        {"not": {"required": [name]}},
    )


def _required(branch: Merged) -> list[str]:
    return [name for name in _list(branch.keywords.get("required")) if isinstance(name, str)]


def _says(branch: Merged, name: str) -> list[Any]:
    schema = branch.properties.get(name)
    return allowed_of(Merged(schema)) if isinstance(schema, dict) else []
