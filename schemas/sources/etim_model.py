"""ETIM's model as its files have it: classes with features, in the words of one language.

A feature is alphanumeric (one of a list), logical, numeric or a range. Units and names are looked
up when a class is asked for. No feature is required, for ETIM does not say so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from schemas.category import AttributeType
from schemas.sources.drafts import Draft, Value
from schemas.sources.left_out import LeftOut
from schemas.sources.source import Source, SourceCategory

KINDS = {"a": "A", "alphanumeric": "A", "l": "L", "logical": "L", "n": "N", "numeric": "N",
         "r": "R", "range": "R"}  # fmt: skip
"""What a file writes of a feature's type, without letter case, and ETIM's letter for it."""


@dataclass(frozen=True)
class Feature:
    """A feature of a class, by the codes of it, of its unit and of its values."""

    code: str
    kind: str
    unit: str = ""
    values: Sequence[str] = ()
    required: bool = False


@dataclass(frozen=True)
class EtimClass:
    """A class: its code, the code of its group, and its features in their order.

    left_out: kind, reason and example of what the file has of it and the schema has not.
    """

    code: str
    group: str
    features: Sequence[Feature]
    left_out: Sequence[tuple[str, str, str]] = ()


@dataclass
class Words:
    """What codes are called, by kind of code; `untranslated` are those that stay English."""

    groups: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    features: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    untranslated: set[str] = field(default_factory=set)


def source_of(classes: Iterable[EtimClass], words: Words, left_out: LeftOut) -> Source:
    """The classes as categories below their groups; a code without words stays a code."""
    categories = []
    for one in classes:
        name = words.classes.get(one.code) or one.code
        above = words.groups.get(one.group) or one.group
        path = (above, name) if above else (name,)
        drafts = partial(_drafts, one, words, left_out)
        categories.append(SourceCategory(one.code, path, drafts, also=(name,)))
    return Source(categories, left_out)


def _drafts(one: EtimClass, words: Words, left_out: LeftOut) -> Iterable[Draft]:
    for kind, reason, example in one.left_out:
        left_out.note(kind, reason, example)
    used = {one.code, *(c for f in one.features for c in (f.code, f.unit, *f.values))}
    for code in sorted(used & words.untranslated):
        left_out.note("name", "has no words in this language: it stays English", code)
    for feature in one.features:
        name = words.features.get(feature.code) or feature.code
        fields: dict[str, object] = {"required": True} if feature.required else {}
        if name != feature.code:
            # Catalogs are exchanged with the codes.
            fields["aliases"] = (feature.code,)
        where = f"{words.classes.get(one.code, one.code)}: {name}"
        match KINDS.get(feature.kind.casefold(), ""):
            case "A" if feature.values:
                values = [Value(code, words.values.get(code) or code) for code in feature.values]
                yield Draft(feature.code, name, AttributeType.ENUM, values, fields)
            case "A":
                yield Draft(feature.code, name, AttributeType.TEXT, (), fields)
            case "L":
                yield Draft(feature.code, name, AttributeType.BOOLEAN, (), fields)
            case "N":
                number = fields | _unit(feature, words.units)
                yield Draft(feature.code, name, AttributeType.NUMBER, (), number)
            case "R":
                left_out.note("attribute", "is a range: it is asked for as two numbers", where)
                number = fields | _unit(feature, words.units) | {"aliases": ()}
                for end in ("min", "max"):
                    code = f"{feature.code}.{end}"
                    yield Draft(code, f"{name} ({end})", AttributeType.NUMBER, (), number)
            case _:
                left_out.note("attribute", f"is of an unknown type {feature.kind!r}", where)


def _unit(feature: Feature, units: Mapping[str, str]) -> dict[str, object]:
    unit = units.get(feature.unit) or feature.unit
    return {"units": (unit,)} if unit else {}
