"""What the generated catalog is made of: topics, the words for them, and their odds.

`vocabulary.json` holds the data, an attribute a line. `shared` attributes are used by several
categories, which may change any of their fields (`{"use": "color", ...}`). An attribute has

- `values`: rows of value, weight, and other ways to say it; or `range` (low, high, step) with a
  `unit`; or a `mask` for a pattern (A is a letter, 0 a digit); or `dates` (first, last);
- `say`: how a text mentions it, `{}` being the value or another way to say it. Without `say` the
  other ways are noun phrases already. What ends with a full stop is a sentence of its own. `spoken`
  says that a text never uses the bare value;
- `mention`: the probability that a text mentions it; `title`: how a title does.
"""

import json
import random
import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from schemas.category import Attribute, AttributeType

DATA = Path(__file__).with_name("vocabulary.json")
DEFAULT_MENTION = 0.5
# Most products have one or two values of a multi-valued attribute.
VALUE_COUNTS = ((1, 2, 3), (4, 4, 1))

# What `an` stands before: vowels that sound like one, letters read out (E27, MTB), eight, eleven.
VOWEL_SOUND = r"(?!one\b|uni|us|eu)[aeiou]|[AEFHILMNORSX][A-Z0-9]|8|1[18]\b"


@dataclass(frozen=True)
class Word:
    """One value of an attribute, its odds, and the ways to say it."""

    value: str
    weight: float
    ways: tuple[str, ...]


@dataclass(frozen=True)
class Topic:
    """One attribute of the generated catalog, and how its values come about and are told."""

    attribute: Attribute
    words: tuple[Word, ...]
    say: tuple[str, ...]
    title: str | None
    mention: float
    mask: str | None = None
    dates: tuple[date, date] | None = None

    def draw(self, chance: random.Random) -> list[str]:
        """The values of one product."""
        if self.mask:
            return ["".join(_unmask(character, chance) for character in self.mask)]
        if self.dates:
            first, last = self.dates
            return [(first + timedelta(chance.randrange((last - first).days + 1))).isoformat()]
        weights = [word.weight for word in self.words]
        if not self.attribute.multi_value:
            return [chance.choices(self.words, weights)[0].value]
        count = chance.choices(*VALUE_COUNTS)[0]
        drawn = {word.value for word in chance.choices(self.words, weights, k=count)}
        return [word.value for word in self.words if word.value in drawn]

    def phrases(self, values: list[str]) -> list[list[str]]:
        """For each value all ways to say it; a value outside of the words is said as it stands."""
        ways = {word.value: list(word.ways) for word in self.words}
        return [ways.get(value, [value]) for value in values]

    def tell(self, values: list[str], chance: random.Random) -> str:
        """A noun phrase, or a sentence, that tells all of `values`."""
        return put(chance.choice(self.say), self._said(values, chance))

    def tell_in_title(self, values: list[str], chance: random.Random) -> str:
        """The words that tell `values` in a title."""
        return put(self.title or "{}", self._said(values, chance))

    def _said(self, values: list[str], chance: random.Random) -> str:
        said = [chance.choice(ways) for ways in self.phrases(values)]
        return " and ".join(filter(None, [", ".join(said[:-1]), said[-1]]))


@dataclass(frozen=True)
class Category:
    """A category of the generated catalog: what it asks for and what its products are called."""

    name: str
    nouns: tuple[str, ...]
    topics: tuple[Topic, ...]


@dataclass(frozen=True)
class Vocabulary:
    """All categories, and the sentences around what is told."""

    categories: tuple[Category, ...]
    frames: tuple[str, ...]
    openers: tuple[str, ...]
    fillers: tuple[str, ...]
    titles: tuple[str, ...]


@cache
def load_vocabulary() -> Vocabulary:
    """The vocabulary in `vocabulary.json`."""
    content = json.loads(DATA.read_text(encoding="utf-8"))
    shared = content["shared"]
    categories = (
        Category(
            entry["category"],
            tuple(entry["nouns"]),
            tuple(_topic(_resolve(item, shared)) for item in entry["attributes"]),
        )
        for entry in content["categories"]
    )
    sentences = (tuple(content[name]) for name in ("frames", "openers", "fillers", "titles"))
    return Vocabulary(tuple(categories), *sentences)


def put(template: str, text: str) -> str:
    """`text` in the place of `{}`, with the article that it needs."""
    return with_articles(template.replace("{}", text))


def with_articles(text: str) -> str:
    """`a` before a consonant's sound and `an` before a vowel's, as the words came out."""
    text = re.sub(rf"\b([Aa])n? (?={VOWEL_SOUND})", r"\1n ", text)
    return re.sub(rf"\b([Aa])n (?!{VOWEL_SOUND})", r"\1 ", text)


def _resolve(item: Any, shared: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if isinstance(item, str):
        return shared[item]
    return shared[item["use"]] | item if "use" in item else item


def _topic(item: dict[str, Any]) -> Topic:
    words = tuple(_words(item))
    dates = item.get("dates")
    return Topic(
        attribute=_attribute(item, words),
        words=words,
        say=tuple(item.get("say", ("{}",))),
        title=item.get("title"),
        mention=item.get("mention", DEFAULT_MENTION),
        mask=item.get("mask"),
        dates=(date.fromisoformat(dates[0]), date.fromisoformat(dates[1])) if dates else None,
    )


def _words(item: dict[str, Any]) -> list[Word]:
    if "range" in item:
        low, high, step = item["range"]
        unit = item["unit"]
        numbers = range(low, high + 1, step)
        return [Word(f"{n} {unit}", 1, (f"{n} {unit}", f"{n}{unit}")) for n in numbers]
    words = []
    for value, weight, *others in item.get("values", ()):
        # Ways without a template are phrases; the bare value is none.
        bare = [] if others and (item.get("spoken") or "say" not in item) else [value]
        words.append(Word(value, weight, (*bare, *others)))
    return words


def _attribute(item: dict[str, Any], words: tuple[Word, ...]) -> Attribute:
    kind = AttributeType(item["type"])
    return Attribute(
        name=item["name"],
        type=kind,
        values=tuple(word.value for word in words) if kind is AttributeType.ENUM else (),
        units=(item["unit"],) if "unit" in item else (),
        minimum=item.get("minimum", 0) if kind is AttributeType.NUMBER else None,
        maximum=item.get("maximum"),
        pattern=item.get("pattern"),
        max_length=item.get("max_length"),
        multi_value=item.get("multi", False),
        required=item.get("required", False),
        description=item.get("description", ""),
    )


def _unmask(character: str, chance: random.Random) -> str:
    # Letters that look like digits are left out, as makers do.
    choices = {"A": "ABCDEFGHKLMNPRSTVX", "0": "0123456789"}.get(character, character)
    return chance.choice(choices)
