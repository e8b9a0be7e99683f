"""A value: is it legal, how is it written, and is it the same as another?

On the wire an attribute's value is a list of strings: one entry for a single-valued attribute,
several for a multi-valued one, none for a blank. In a prompt it is one line of text, in which the
values of a multi-valued attribute are joined by `SEPARATOR`.

All values go through here, whoever wrote them: a seller, a file, a model, a reference.

- `mend` writes them as the schema does, `parse_answer` those of a line; `format_answer` writes one.
- `refusal` says why values are illegal, `problem` in a sentence, `is_valid` whether they are legal
  (the paper's valid(a)). All three are strict: what can be mended is to be mended before.
- `matches` says whether a value is right against a reference, by the rules of design.md "Judging".
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from schemas.category import VALUE_SEPARATOR, Attribute, CategorySchema
from schemas.numbers import Unread, read_number
from schemas.one_value import Found, find_one, is_same, key_of, mend_one, refuse_one
from schemas.refusals import Refusal
from schemas.rules import NO, YES, rules_of
from schemas.texts import one_line

__all__ = [
    "NO",
    "SEPARATOR",
    "YES",
    "Refusal",
    "Values",
    "first_refusal",
    "format_answer",
    "is_valid",
    "matches",
    "mend",
    "parse_answer",
    "parse_number",
    "problem",
    "refusal",
    "refusals",
]

UNKNOWN_ATTRIBUTE = Refusal("unknown_attribute", "its category has no such attribute; leave it out")

Values = Mapping[str, Sequence[str]]
"""Attribute name to its values; a missing name or an empty list is a blank."""

SEPARATOR = f" {VALUE_SEPARATOR} "


def parse_answer(attribute: Attribute, line: str) -> list[str]:
    """The values that a line of text stands for; an empty line is a blank (an empty list).

    They are written as the schema does where there is no doubt what is meant, so that `is_valid`
    can be strict. What stands for no value (`N/A`) is a blank.
    """
    rules = rules_of(attribute)
    if not attribute.multi_value:
        value = mend_one(rules, line)
        return [value] if value else []
    values = dict.fromkeys(mend_one(rules, part) for part in line.split(VALUE_SEPARATOR))
    return [value for value in values if value]


def mend(attribute: Attribute, values: Sequence[str]) -> list[str]:
    """`values` as the schema writes them, each once, without blanks.

    What cannot be mended stays as it is, but for white space: `refusal` tells of it.
    """
    if len(values) == 1:
        text = values[0]
        if attribute.multi_value and VALUE_SEPARATOR in text:
            return parse_answer(attribute, text)
        value = mend_one(rules_of(attribute), text)
        return [value] if value else []
    return list(dict.fromkeys(v for text in values for v in parse_answer(attribute, text)))


def format_answer(values: Sequence[str]) -> str:
    """The one line of text that stands for `values`; the inverse of `parse_answer`."""
    return SEPARATOR.join(" ".join(value.split()) for value in values)


def is_valid(attribute: Attribute, values: Sequence[str]) -> bool:
    """Whether `values` is filled and legal: the valid(a_i) of the paper's equation (1)."""
    if len(values) == 1 and not attribute.multi_value:
        return refuse_one(rules_of(attribute), values[0]) is None
    return bool(values) and refusal(attribute, values) is None


def problem(attribute: Attribute, values: Sequence[str]) -> str | None:
    """Why `values` is illegal for `attribute`, or None where it is legal or blank."""
    found = refusal(attribute, values)
    return None if found is None else found.sentence


def refusal(attribute: Attribute, values: Sequence[str]) -> Refusal | None:
    """As `problem`, with the word that it is counted by."""
    if attribute.multi_value:
        most = attribute.max_values
        if len(values) > most:
            return Refusal("several", f"{len(values)} values where at most {most} are allowed")
        if any(VALUE_SEPARATOR in value for value in values):
            return Refusal("separator", f"a value with {VALUE_SEPARATOR!r}, which separates values")
    elif len(values) > 1:
        return Refusal("several", f"{len(values)} values for an attribute that takes one")
    rules = rules_of(attribute)
    for value in values:
        if (found := refuse_one(rules, value)) is not None:
            return found
    return None


def first_refusal(attribute: Attribute, values: Sequence[str]) -> Refusal | None:
    """Why what somebody wrote is no legal value, mended or not: illegal, or no value at all."""
    if len(values) == 1 and not attribute.multi_value:
        value, refused = find_one(rules_of(attribute), values[0])
        if value:
            return refused
    mended = mend(attribute, values)
    if mended or not values:
        return refusal(attribute, mended)
    return refusal(attribute, [v for text in values if (v := one_line(text))][:1])


def refusals(schema: CategorySchema, submitted: Values) -> list[tuple[str, Sequence[str], Refusal]]:
    """Of what somebody wrote what is no legal value by `schema`, now or under a former name: the
    attribute's name, its values, and why."""
    found = []
    seen = _seen_of(schema)
    for name, values in submitted.items():
        before = seen.get(name)
        if before is not None and len(values) <= before.most:
            for text in values:
                if text in before.words:
                    continue
                known = before.found.get(text)
                if known is None or not known[0] or known[1] is not None:
                    break
            else:  # nearly all values are seen here to be legal or blank, and a review has dozens
                continue
        if not values:
            continue
        attribute = schema.find(name)
        why = UNKNOWN_ATTRIBUTE if attribute is None else first_refusal(attribute, values)
        if why is not None:
            found.append((name, values, why))
    return found


def parse_number(value: str, locale: str | None = None) -> tuple[float, str] | None:
    """Number and unit (as written, maybe empty) of a value such as `1,200 mm`; None for neither."""
    read = read_number(value, locale)
    return None if isinstance(read, Unread) else (float(read.value), read.unit)


def matches(attribute: Attribute, values: Sequence[str], reference: Sequence[str]) -> bool:
    """Whether `values` is right, given the reference that the catalog has.

    Both are mended before. Allowed words are the same or not; numbers compare as numbers, in
    whatever units of one kind (1 kg is 1000 g); text compares without regard to letter case, white
    space, outer punctuation and marks that nobody sees. Multi-valued attributes compare as sets.
    For a single-valued attribute several references are alternative spellings, any of which is
    right.
    """
    if not values or not reference:
        return False
    if values == reference:
        return True
    rules = rules_of(attribute)
    if len(values) == len(reference) == 1:
        return is_same(rules, values[0], reference[0])
    given = {key_of(rules, mended) for value in values if (mended := mend_one(rules, value))}
    wanted = {key_of(rules, mended) for value in reference if (mended := mend_one(rules, value))}
    return bool(given) and (given == wanted if attribute.multi_value else given <= wanted)


class _Before(NamedTuple):
    """Of one attribute: how many values it takes, its words, and what was found of other texts."""

    most: int
    words: Container[str]
    found: Mapping[str, Found]


class _Seen(dict[str, _Before]):
    """Of all attributes, by all their names. It is kept at the schema; a copy of the schema, here
    or in another process, makes its own."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


def _seen_of(schema: CategorySchema) -> _Seen:
    seen: _Seen | None = schema.__dict__.get("_seen")
    if seen is None:
        seen = _Seen()
        for name, attribute in schema.by_any_name.items():
            rules, many = rules_of(attribute), attribute.multi_value
            words = () if rules.words is None else rules.words.exact
            # A text of an attribute that takes several may be more than one value.
            most, found = (attribute.max_values, {}) if many else (1, rules.found)
            seen[name] = _Before(most, words, found)
        schema.__dict__["_seen"] = seen
    return seen
