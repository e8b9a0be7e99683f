"""One value of an attribute, by its rules: written as the schema does, refused, or the same as
another. `schemas.values` makes lists of them.

What was found of a short text is kept, for most values come again.
"""

from typing import TypeVar

from schemas.category import AttributeType
from schemas.numbers import Unread
from schemas.refusals import Refusal, is_within, refuse
from schemas.rules import Rules
from schemas.texts import bare, one_line, plain
from schemas.units import scale

# Of each attribute; a marketplace may have thousands.
KEPT_TEXTS = 256
LONGEST_KEPT = 100
T = TypeVar("T")

Found = tuple[str, Refusal | None]
"""A value as the schema writes it, empty for a blank, and why it is illegal even so."""


def find_one(rules: Rules, text: str) -> Found:
    """What `text` stands for."""
    if rules.words is not None:
        if text in rules.words.exact:
            return text, None
    elif rules.is_text and _is_line(rules, text):
        return text, None
    found: Found | None = rules.found.get(text)
    if found is None:
        if _is_written(rules, text):
            found = text, None
        else:
            value = _mend_anew(rules, text)
            found = value, refuse(rules, value) if value else None
        _keep(rules.found, text, found)
    return found


def _is_line(rules: Rules, text: str) -> bool:
    """Whether a text has nothing to be mended or refused, where that is quickly seen."""
    return (
        0 < len(text) <= rules.most_characters
        and text.isascii()
        and text.isprintable()
        and "  " not in text
        and text[0] != " " != text[-1]
        and not rules.may_be_placeholder(text)
    )


def _is_written(rules: Rules, text: str) -> bool:
    """As `_is_line`, for a number."""
    number = rules.written.fullmatch(text) if rules.written is not None else None
    return (
        number is not None
        and is_within(rules, number[1], number[2])
        and not rules.may_be_placeholder(text)
    )


def mend_one(rules: Rules, text: str) -> str:
    """One value as the schema writes it; empty for a blank."""
    return find_one(rules, text)[0]


def refuse_one(rules: Rules, value: str) -> Refusal | None:
    """Why one value is illegal as it is."""
    mended, refused = find_one(rules, value)
    if value and mended == value:
        return refused
    try:
        return rules.refused[value]
    except KeyError:
        return _keep(rules.refused, value, refuse(rules, value))


def _keep(before: dict[str, T], text: str, found: T) -> T:
    """`found`, which is kept where `text` is short: most values come again."""
    if len(text) <= LONGEST_KEPT:
        if len(before) >= KEPT_TEXTS:
            before.clear()
        before[text] = found
    return found


def _mend_anew(rules: Rules, text: str) -> str:
    value = one_line(text)
    if not value or not (value.isascii() or plain(value)):
        return ""
    if rules.words is not None and (word := rules.words.find(value)) is not None:
        return word
    if rules.is_placeholder(value):
        return ""
    if rules.attribute.type is AttributeType.NUMBER:
        number = rules.number(value)
        if not isinstance(number, Unread):
            return f"{number.written} {number.unit}".rstrip()
    return value


def is_same(rules: Rules, one: str, other: str) -> bool:
    """Whether two values are equal; a blank is equal to nothing."""
    one, other = mend_one(rules, one), mend_one(rules, other)
    if not one or one == other:
        return bool(one)
    if rules.words is not None:
        return False
    if rules.written is not None:
        first, second = rules.written.fullmatch(one), rules.written.fullmatch(other)
        if first is not None and second is not None and first[2] == second[2]:
            return _number(first[1]) == _number(second[1])
    return key_of(rules, one) == key_of(rules, other)


def _number(digits: str) -> float:
    return float(digits.replace(",", "."))


Key = tuple[object, ...]
"""What is equal for values that are the same."""


def key_of(rules: Rules, mended: str) -> Key:
    """The key of a mended value."""
    if rules.is_text:
        return (bare(mended),)
    match rules.attribute.type:
        case AttributeType.PATTERN:
            return (bare(mended),)
        case AttributeType.NUMBER:
            number = rules.number(mended)
            if isinstance(number, Unread):
                return (bare(mended),)
            known = scale(number.unit) if number.unit else None
            if known is None:
                return number.unit, number.value
            return known.kind, known.base(number.value)
        case AttributeType.ENUM if rules.attribute.open and not rules.allows(mended):
            return (bare(mended),)
        case _:
            return (mended,)
