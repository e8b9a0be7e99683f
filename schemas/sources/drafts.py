"""An attribute as a source has it, and what a schema can have of it.

Sources name attributes and values as they like: twice the same, blank, of a thousand characters,
with a `|`. What a schema refuses is left out, or changed where that loses nothing, and counted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pydantic import ValidationError

from schemas.category import (
    BOOLEAN_VALUES,
    MAX_ALLOWED_VALUES,
    MAX_NAME_LENGTH,
    VALUE_SEPARATOR,
    Attribute,
    AttributeType,
)
from schemas.sources.left_out import LeftOut
from schemas.texts import is_cut, one_line

LONGEST_VALUE = 200
"""Characters of an allowed value. A judgement: a longer one is a sentence that nobody picks, and
the engine never answers one that has more tokens than an answer may."""
LONGEST_TEXT = 10_000


Conditions = tuple[tuple[str, tuple[str, ...]], ...]
"""Ids of attributes, each with the codes of which it must have one."""


@dataclass(frozen=True, slots=True)
class Value:
    """An allowed value: the source's code of it, and how people write it."""

    code: str
    name: str


@dataclass(frozen=True)
class Draft:
    """An attribute as the source has it.

    id: by which the source knows it. fields: further ones of `schemas.category.Attribute`.
    when: by the id of another attribute, the codes of which it must have one.
    """

    id: str
    name: str
    type: AttributeType
    values: Sequence[Value] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    when: Conditions = ()


@dataclass(frozen=True)
class Made:
    """An attribute, the source's id of it, and the code of each of its values."""

    attribute: Attribute
    id: str
    codes: tuple[str, ...] = ()


def attributes_of(drafts: Iterable[Draft], category: str, left_out: LeftOut) -> list[Made]:
    """The attributes that a schema can have of `drafts`, in their order, each name once."""
    names: set[str] = set()
    made: dict[str, Made] = {}
    waiting: dict[str, Conditions] = {}
    for draft in drafts:
        where = f"{category}: {draft.name.strip() or draft.id}"
        note = partial(_note_attribute, left_out, where)
        name = free_name(draft.name, draft.id, names, note)
        if name is None or draft.id in made:
            note("has no name of its own")
            continue
        one = _made(draft, name, where, left_out)
        if one is not None:
            names.add(name)
            made[draft.id] = one
            waiting[draft.id] = draft.when
    found = [_with_conditions(one, made, waiting, category, left_out) for one in made.values()]
    return [_with_free_aliases(one, names) for one in found]


def _note_attribute(left_out: LeftOut, where: str, why: str) -> None:
    left_out.note("attribute", why, where)


def _with_free_aliases(one: Made, taken: set[str]) -> Made:
    """`one` without the aliases that are another attribute's name or alias."""
    aliases = tuple(a for a in one.attribute.aliases if a and a not in taken and not is_cut(a))
    taken.update(aliases)
    if aliases == one.attribute.aliases:
        return one
    return replace(one, attribute=one.attribute.model_copy(update={"aliases": aliases}))


def free_name(
    written: str, identity: str, taken: set[str], note: Callable[[str], None]
) -> str | None:
    """`written` on one line and short enough, with the id behind it where the name is taken."""
    name = one_line(written) or one_line(identity)
    if is_cut(name):
        return None
    if len(name) > MAX_NAME_LENGTH:
        note(f"has a name of more than {MAX_NAME_LENGTH} characters: it is cut")
        name = name[: MAX_NAME_LENGTH - 1].rstrip() + "…"
    if name in taken:
        note("has a name that stands twice: its id was put behind it")
        tail = f" ({one_line(identity)})"
        name = name[: max(0, MAX_NAME_LENGTH - len(tail))] + tail
    return None if not name or name in taken or len(name) > MAX_NAME_LENGTH else name


def _made(draft: Draft, name: str, where: str, left_out: LeftOut) -> Made | None:
    fields = dict(draft.fields)
    kind, values = draft.type, list(draft.values)
    if kind is AttributeType.ENUM:
        values = _allowed(values, bool(fields.get("multi_value")), where, left_out)
        if not values:
            left_out.note("attribute", "has no value that a schema can have", where)
            return None
        if len(values) > MAX_ALLOWED_VALUES:
            left_out.note(
                "attribute", f"has more than {MAX_ALLOWED_VALUES:,} values: it is a text", where
            )
            fields["max_length"] = max(len(value.name) for value in values)
            kind, values = AttributeType.TEXT, []
            fields.pop("open", None)
    fields["description"] = one_line(str(fields.get("description") or ""))
    if is_cut(fields["description"]):
        fields["description"] = ""
    if (fields.get("max_length") or 0) > LONGEST_TEXT:
        left_out.note("limit", f"is longer than {LONGEST_TEXT:,} characters: it is so long", where)
        fields["max_length"] = LONGEST_TEXT
    try:
        attribute = Attribute(
            name=name, type=kind, values=tuple(value.name for value in values), **fields
        )
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        left_out.note("attribute", f"is refused: {fault}", where)
        return None
    return Made(attribute, draft.id, tuple(value.code for value in values))


def _allowed(
    values: Iterable[Value], multi_value: bool, where: str, left_out: LeftOut
) -> list[Value]:
    """Those of `values` that a schema can have, each once."""
    kept: dict[str, Value] = {}
    for value in values:
        name = one_line(value.name)
        fault = None
        if not name:
            fault = "is blank"
        elif is_cut(name):
            fault = "has half of a character"
        elif len(name) > LONGEST_VALUE:
            fault = f"has more than {LONGEST_VALUE} characters"
        elif multi_value and VALUE_SEPARATOR in name:
            fault = f"has a {VALUE_SEPARATOR}, and its attribute takes several values"
        elif name in kept:
            fault = "stands twice"
        if fault is None:
            kept[name] = value if name == value.name else Value(value.code, name)
        else:
            left_out.note("value", fault, f"{where}: {name[:60]}")
    return list(kept.values())


def _with_conditions(
    one: Made,
    made: Mapping[str, Made],
    waiting: Mapping[str, Conditions],
    category: str,
    left_out: LeftOut,
) -> Made:
    """`one` with its conditions in the words of the schema; one that has none is counted."""
    found: dict[str, tuple[str, ...]] = {}
    where = f"{category}: {one.attribute.name}"
    for identity, codes in waiting[one.id]:
        other = made.get(identity)
        if other is None or other is one:
            left_out.note("condition", "is on an attribute that is not asked for", where)
            continue
        by_code = dict(zip(other.codes, other.attribute.values, strict=True))
        names = tuple(by_code.get(code, code) for code in codes)
        is_boolean = other.attribute.type is AttributeType.BOOLEAN
        if not is_boolean and other.attribute.type is not AttributeType.ENUM:
            left_out.note("condition", f"is on a {other.attribute.type}", where)
        elif waiting[identity]:
            left_out.note("condition", "is on an attribute that has one itself", where)
        elif not names or not set(names) <= set(
            BOOLEAN_VALUES if is_boolean else other.attribute.values
        ):
            left_out.note("condition", "is on values that the other attribute lacks", where)
        else:
            found[other.attribute.name] = names
    if not found:
        return one
    when = one.attribute.model_copy(update={"when": tuple(found.items())})
    return replace(one, attribute=when)
