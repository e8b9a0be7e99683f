"""A schema's objects and lists as leaves: what is asked for, by its path.

`battery: [{weight: [{value, unit}]}]` is the leaf `battery.weight`: lists add nothing to a path,
and neither does a property called `value`, which in Amazon's definitions holds what the object
around it is about. A `unit` beside a numeric `value` is the unit of that number.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.sources.definitions.amazon import SELECTORS, is_amazons, why_not_asked
from schemas.sources.definitions.document import DEEPEST, Document, Merged, Rule
from schemas.sources.definitions.unsaid import note_unsaid

VALUE, UNIT = "value", "unit"
_SAYS = frozenset(("type", "$ref", "enum", "const", "properties", "items", "anyOf", "oneOf"))
"""Keywords of a schema that says what a property is, and does not only limit it."""
Path = tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """What is asked for.

    full: the path with each `value`; path: without. most: how many values there may be, None for
    any number. unit: the schema of the unit beside it. title: of what stands at the path.
    """

    full: Path
    path: Path
    schema: Merged
    required: bool
    most: int | None
    title: str
    description: str
    unit: Merged | None = None


@dataclass
class Walk:
    """What was found: leaves in the order of the document, and rules with the path they hold at."""

    leaves: list[Leaf] = field(default_factory=list)
    rules: list[tuple[Path, Rule]] = field(default_factory=list)


@dataclass(frozen=True)
class _Place:
    """Where the walk is, and what holds from there on."""

    full: Path = ()
    path: Path = ()
    required: bool = True
    most: int | None = 1
    title: str = ""
    description: str = ""
    refs: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return ".".join(self.path) or "(the schema)"


def walk(document: Document) -> Walk:
    """The leaves and the rules of a document."""
    return _Walker(document).walked()


class _Walker:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._left_out = document.left_out
        self._amazon = is_amazons(document.root)
        self._found = Walk()

    def walked(self) -> Walk:
        self._visit(self._document.root, _Place())
        return self._found

    def _visit(self, raw: Any, place: _Place) -> None:
        if len(place.full) > DEEPEST:
            self._left_out.note("attribute", "is nested too deep", place.name[:80])
            return
        if raw is True or raw == {}:
            self._left_out.note("attribute", "says nothing of what it is", place.name)
            return
        schema = self._document.merged(raw, place.name, place.refs)
        if schema is None:
            return
        if place.path and schema.keywords.get("hidden") is True:
            self._left_out.note("attribute", "is hidden from sellers", place.name)
            return
        if place.path and schema.keywords.get("deprecated") is True:
            self._left_out.note("attribute", "is deprecated", place.name)
            return
        note_unsaid(schema.keywords, place.name, self._left_out)
        if schema.properties or schema.types == {"object"}:
            self._object(schema, place)
        elif "items" in schema.keywords or schema.types == {"array"}:
            self._list(schema, place)
        elif place.path:
            self._found.leaves.append(_leaf(schema, place, None))

    def _list(self, schema: Merged, place: _Place) -> None:
        items = schema.keywords.get("items")
        if not isinstance(items, dict):
            self._left_out.note("attribute", "is a list that does not say of what", place.name)
            return
        longest = schema.keywords.get("maxUniqueItems", schema.keywords.get("maxItems"))
        most = longest if isinstance(longest, int) and longest > 0 else None
        if place.most is not None and most is not None:
            most *= place.most
        else:
            most = None
        self._visit(items, _within(place, schema, most=most))

    def _object(self, schema: Merged, place: _Place) -> None:
        properties = dict(schema.properties)
        for rule in schema.rules:
            rules, added = _apart(rule, schema.properties.keys())
            self._found.rules += [(place.full, one) for one in rules]
            for name, raw in added.items():
                properties.setdefault(name, raw)
        if not properties:
            self._left_out.note("attribute", "is an object of any names", place.name)
            return
        place = _within(place, schema)
        required = schema.keywords.get("required")
        needed = required if isinstance(required, list) else []
        number, unit = self._measured(properties, place)
        for name, raw in properties.items():
            is_selector = self._amazon and name in SELECTORS
            if is_selector or raw is False or (name == UNIT and unit is not None):
                continue
            why = why_not_asked(name) if self._amazon and not place.path else None
            if why is not None:
                self._left_out.note("attribute", why, name)
                continue
            is_value = name == VALUE and bool(place.path)
            inner = _Place(
                (*place.full, name),
                place.path if is_value else (*place.path, name),
                place.required and name in needed,
                place.most,
                place.title if is_value else "",
                place.description if is_value else "",
                place.refs,
            )
            if name == number and unit is not None:
                self._measure(raw, inner, unit)
            else:
                self._visit(raw, inner)

    def _measured(
        self, properties: Mapping[str, Any], place: _Place
    ) -> tuple[str | None, Merged | None]:
        """The only number beside a `unit`, or the one called `value`; and the unit's schema."""
        if UNIT not in properties or not place.path:
            return None, None
        numbers = []
        for name in properties.keys() - {UNIT}:
            value = self._document.merged(properties[name], place.name, place.refs)
            if value is not None and value.types and value.types <= {"number", "integer"}:
                numbers.append(name)
        if VALUE not in numbers and len(numbers) != 1:
            return None, None
        unit = self._document.merged(properties[UNIT], place.name, place.refs)
        return (VALUE if VALUE in numbers else numbers[0]), unit

    def _measure(self, raw: Any, place: _Place, unit: Merged) -> None:
        schema = self._document.merged(raw, place.name, place.refs)
        if schema is not None:
            self._found.leaves.append(_leaf(schema, place, unit))


def _apart(rule: Rule, known: Collection[str]) -> tuple[list[Rule], dict[str, Any]]:
    """The properties that only `then` or `else` brings along, each with a rule of its own that the
    other branch forbids it; and the rule without them."""
    then, added_then = _without_added(rule.then, known)
    otherwise, added_else = _without_added(rule.otherwise, known)
    rules = []
    for name in added_then.keys() - added_else.keys():
        needs = {"required": [name]} if name in _required(rule.then) else True
        rules.append(Rule(rule.condition, needs, {"not": {"required": [name]}}))
    for name in added_else.keys() - added_then.keys():
        needs = {"required": [name]} if name in _required(rule.otherwise) else True
        rules.append(Rule(rule.condition, {"not": {"required": [name]}}, needs))
    if not _is_empty(then) or not _is_empty(otherwise):
        rules.append(Rule(rule.condition, then, otherwise))
    return rules, {**added_else, **added_then}


def _without_added(branch: Any, known: Collection[str]) -> tuple[Any, dict[str, Any]]:
    properties = branch.get("properties") if isinstance(branch, dict) else None
    if not isinstance(properties, dict):
        return branch, {}
    added = {
        name: raw
        for name, raw in properties.items()
        if name not in known and isinstance(raw, dict) and raw.keys() & _SAYS
    }
    rest = {name: raw for name, raw in properties.items() if name not in added}
    left = {**branch, "properties": rest}
    left["required"] = [name for name in _required(branch) if name not in added]
    return {keyword: inner for keyword, inner in left.items() if inner not in ({}, [])}, added


def _required(branch: Any) -> list[Any]:
    found = branch.get("required") if isinstance(branch, dict) else None
    return found if isinstance(found, list) else []


def _is_empty(branch: Any) -> bool:
    return branch is True or branch == {}


def _within(place: _Place, schema: Merged, most: int | None = -1) -> _Place:
    """The same place with what its schema says of itself; the outermost title stays."""
    return _Place(
        place.full,
        place.path,
        place.required,
        place.most if most == -1 else most,
        place.title or _text(schema, "title"),
        place.description or _text(schema, "description"),
        schema.refs,
    )


def _leaf(schema: Merged, place: _Place, unit: Merged | None) -> Leaf:
    return Leaf(
        place.full,
        place.path,
        schema,
        place.required,
        place.most,
        place.title or _text(schema, "title"),
        place.description or _text(schema, "description"),
        unit,
    )


def _text(schema: Merged, keyword: str) -> str:
    found = schema.keywords.get(keyword)
    return found if isinstance(found, str) else ""
