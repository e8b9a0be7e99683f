"""What is needed to read an attribute's values, made once an attribute: tables of its words and
units, what stands for no value, and what was read of short texts before.

They are kept at the attribute itself and go with it. To look them up by its content would be to
hash ten thousand allowed values at each question.
"""

import re
import weakref
from functools import lru_cache
from typing import Any

import regex

from schemas.category import BOOLEAN_VALUES, DEFAULT_PLACEHOLDERS, Attribute, AttributeType
from schemas.numbers import Number, Unread, number_expression, read_number
from schemas.texts import Spellings, comparable
from schemas.units import is_another

YES, NO = BOOLEAN_VALUES
PATTERN_TIMEOUT_S = 0.05
_PLACE = "_rules"


class Rules:
    """How the values of one attribute are read.

    words: those that are allowed, None for any.
    written: of a number, what it looks like once it is mended: its digits, and its unit.
    limits: by unit, the least and the most.
    found, refused: what `schemas.one_value` found of a text.
    """

    def __init__(self, attribute: Attribute) -> None:
        self._attribute = weakref.ref(attribute)
        allowed = {AttributeType.ENUM: attribute.values, AttributeType.BOOLEAN: (YES, NO)}
        words = allowed.get(attribute.type)
        self.words = None if words is None else Spellings(words)
        self.units = Spellings(attribute.units)
        self.is_text = attribute.type is AttributeType.TEXT
        self.most_characters = attribute.text_length
        number = attribute.type is AttributeType.NUMBER
        self.written = _written(attribute.locale, attribute.units) if number else None
        self.limits: dict[str, tuple[float, float]] = {}
        given = attribute.placeholders
        self._placeholders, self._longest = _compared(
            DEFAULT_PLACEHOLDERS if given is None else given
        )
        self.found: dict[str, Any] = {}
        self.refused: dict[str, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy of an attribute, here or in another process, makes its own."""
        return type(None), ()

    @property
    def attribute(self) -> Attribute:
        """Whose rules these are."""
        attribute = self._attribute()
        assert attribute is not None, "rules are only asked for by who has the attribute"
        return attribute

    def allows(self, value: str) -> bool:
        """Whether `value` is one of the words, as it is written."""
        return self.words is not None and value in self.words.exact

    def number(self, value: str) -> Number | Unread:
        """The number that `value` is, its unit spelled as the schema does where it has it."""
        number = read_number(value, self.attribute.locale)
        if isinstance(number, Unread) or not number.unit:
            return number
        return Number(number.value, number.written, self._unit(number.unit))

    def _unit(self, written: str) -> str:
        """The allowed unit that `written` means. Letter case can be meaning: MW is not mW."""
        if (same := self.units.same(written)) is not None:
            return same
        folded = self.units.folded(written)
        return written if folded is None or is_another(written, folded) else folded

    def may_be_placeholder(self, value: str) -> bool:
        """Whether `value`, which is ASCII and mended, is to be asked `is_placeholder`."""
        return len(value) <= self._longest and value.lower() in self._placeholders

    def is_placeholder(self, value: str) -> bool:
        """Whether `value` stands for no value, and the schema does not say that it is one."""
        # Width and marks that nobody sees take some characters.
        if len(value) > 2 * self._longest or comparable(value) not in self._placeholders:
            return False
        if self.words is not None:
            return self.words.find(value) is None
        pattern = self.attribute.pattern
        if self.attribute.type is not AttributeType.PATTERN or pattern is None:
            return True
        # `.*` matches all words and means none of them.
        said = value.casefold() in pattern.replace("\\", "").casefold()
        return not (said and does_match(pattern, value))


def rules_of(attribute: Attribute) -> Rules:
    """The rules of `attribute`."""
    found: Rules | None = attribute.__dict__.get(_PLACE)
    # A copy of the attribute has the rules of what it was made of.
    if found is None or found._attribute() is not attribute:
        found = attribute.__dict__[_PLACE] = Rules(attribute)
    return found


@lru_cache(maxsize=256)
def _compared(placeholders: tuple[str, ...]) -> tuple[frozenset[str], int]:
    """They as they are compared, and how long the longest is."""
    return frozenset(map(comparable, placeholders)), max(map(len, placeholders), default=0)


@lru_cache(maxsize=4096)
def _written(locale: str | None, units: tuple[str, ...]) -> re.Pattern[str]:
    one_of = "|".join(map(re.escape, units))
    return re.compile(f"(-?(?:{number_expression(locale)}))" + (f" ({one_of})" if units else "()"))


def does_match(pattern: str, value: str) -> bool | None:
    """Whether `value` as a whole matches; None where it takes too long to tell."""
    # `re` backtracks without end on patterns such as (a|a)*b, and cannot be interrupted.
    # Not concurrent: to give the interpreter away and wait for it takes longer than the match.
    try:
        matched = _compiled(pattern).fullmatch(value, concurrent=False, timeout=PATTERN_TIMEOUT_S)
    except TimeoutError:
        return None
    return matched is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)
