"""The first pass: how often each attribute of each category has which value.

Memory is bounded by `Limits.distinct` and `Limits.kept`: what is over is counted as `rest`. The
same products in the same order give the same counts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.induction.limits import Limits
from schemas.category import DEFAULT_PLACEHOLDERS, VALUE_SEPARATOR
from schemas.texts import comparable, is_cut, one_line, plain

Entry = Mapping[str, Any]
"""A product as a line of a catalog has it."""

LONGEST_KEPT = 500
"""Characters; a longer value is prose, and only counted."""
MOST_COUNTED = 100
UNIT = 64
"""Characters of a text that take as much room as a short one."""
_BLANKS = frozenset(map(comparable, DEFAULT_PLACEHOLDERS))


@dataclass
class Counts:
    """Of one attribute: the values and how often each was seen (`rest`: those not kept), the
    products that have any, and how many values these have."""

    values: Counter[str] = field(default_factory=Counter)
    rest: int = 0
    products: int = 0
    several: Counter[int] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All values, kept or not."""
        return self.values.total() + self.rest

    def add(self, value: str, times: int, most: int) -> bool:
        """Count a value; whether it is kept for the first time."""
        new = value not in self.values
        if new and (len(self.values) >= most or len(value) > LONGEST_KEPT):
            self.rest += times
            return False
        self.values[value] += times
        return new

    def merge(self, other: "Counts", most: int) -> None:
        """Take `other` in."""
        for value, times in other.values.items():
            self.add(value, times, most)
        self.rest += other.rest
        self.products += other.products
        self.several.update(other.several)


@dataclass
class Category:
    """Of one category: its products, and what its attributes have."""

    products: int = 0
    attributes: dict[str, Counts] = field(default_factory=dict)


@dataclass
class Tally:
    """Of a catalog: its categories, and the values (products, where there was no room for their
    category) that were not looked at since `Limits.kept` was reached."""

    limits: Limits
    categories: dict[str, Category] = field(default_factory=dict)
    unseen: int = 0
    _room: int = 0

    def __post_init__(self) -> None:
        self._room = self.limits.kept

    def add(self, entry: Entry) -> None:
        """Count a product."""
        name = entry.get("category")
        if not isinstance(name, str) or not name.strip() or is_cut(name):
            return
        if name not in self.categories:
            if not self._take(name):
                self.unseen += 1
                return
            self.categories[name] = Category()
        category = self.categories[name]
        category.products += 1
        for attribute, values in given(entry):
            counts = category.attributes.get(attribute)
            if counts is None:
                if not self._take(attribute):
                    self.unseen += len(values)
                    continue
                counts = category.attributes[attribute] = Counts()
            counts.products += 1
            counts.several[min(len(values), MOST_COUNTED)] += 1
            for value in values:
                most = self.limits.distinct if self._room > 0 else 0
                if counts.add(value, 1, most):
                    self._take(value)

    def _take(self, text: str) -> bool:
        """Take the room of a text that is kept; whether there is any."""
        self._room -= 1 + len(text) // UNIT
        return self._room > 0


def tally(entries: Iterable[Entry], limits: Limits) -> Tally:
    """The counts of all `entries`."""
    counted = Tally(limits)
    for entry in entries:
        counted.add(entry)
    return counted


def given(entry: Entry) -> Iterator[tuple[str, list[str]]]:
    """A product's attributes with the values that are any: each once, on one line, and parted at
    `|` as the values of a multi-valued attribute are."""
    catalog = entry.get("catalog")
    if not isinstance(catalog, Mapping):
        return
    for name, content in catalog.items():
        texts = content if isinstance(content, list) else [content]
        parts = (p for t in texts if isinstance(t, str) for p in t.split(VALUE_SEPARATOR))
        values = list(dict.fromkeys(v for part in parts if (v := _value(part))))
        if values:
            yield name, values


def _value(text: str) -> str:
    """`text` as it is kept; empty where it is no value."""
    value = one_line(text)
    if is_cut(value) or not plain(value) or (len(value) < 30 and comparable(value) in _BLANKS):
        return ""
    return value
