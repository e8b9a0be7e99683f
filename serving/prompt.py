"""The prompt: one trunk for the product, one branch for each batch of attributes.

    trunk     Category: Lamps ⏎ Title: … ⏎ Description: … ⏎
    segment   Colour (red, blue, green):
    answer    ␣blue ⏎

A picture is a block of rows in the trunk, whose embeddings come from eyes (`serving.engine.eyes`)
and not from the vocabulary. It is never cut; the text around it has the tokens that it has without.

A branch is a sequence of segments, each followed by its answer. Trunk, segment and answer are
tokenised apart and concatenated, and every newline between them is the one canonical newline
token, so that token ids are the same in generation, in training and in the reference
(design.md, "Exact by rule"). No chat template: it ruins a small model's answers.

The generation's stop set is every end token of the model and every token whose text contains a
newline. The split of A into B batches is random and seeded by the listing's id, so that a retry or
a later measurement asks the same questions (paper: "attribute batches with random assignment").
"""

import hashlib
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

from schemas.category import Attribute, AttributeType
from schemas.markup import without_markup
from schemas.texts import one_line
from schemas.values import NO, SEPARATOR, YES, Values, format_answer
from serving.listing import Listing
from serving.settings import ServingSettings

logger = logging.getLogger(__name__)

# A description is cut to this many characters before it is tokenised: four a token is typical,
# and tokenising a megabyte to throw most of it away would block the engine.
CHARACTERS_PER_TOKEN = 8
# A text has this many times the characters that are left of it without markup, at most.
MARKUP_SHARE = 8

# Allowed values are listed up to this many characters: a question is part of every prompt.
MAX_HINT_CHARACTERS = 1000
# No tokenizer writes a date in more tokens than it has characters, or a text in more than bytes.
DATE_CHARACTERS = len(" 2024-12-31")
BYTES_PER_CHARACTER = 4
# Of an allowed value and its stop, where the settings do not allow more. The longest in a real
# catalog has 57, of 263 characters; a hostile schema has one that would take thousands of passes.
ALLOWED_VALUE_TOKENS = 64


@dataclass(frozen=True)
class Segment:
    """One question in a branch: the attribute, and the token ids of `name (hint):`."""

    attribute: Attribute
    ids: tuple[int, ...]


Position = int | tuple[int, int, int]
"""Of a row; a base whose rotary positions have three axes takes a number for all three."""


@dataclass(frozen=True)
class PictureTokens:
    """How a picture stands in the trunk.

    `ids` are what its base wraps it in, and a placeholder for each row that eyes fill; `rows` are
    the places of these among them. `positions`, one for each id, count from where the picture
    begins; the text after it begins `advance` further on.
    """

    ids: tuple[int, ...]
    rows: tuple[int, ...]
    positions: Sequence[Position]
    advance: int


@dataclass(frozen=True)
class Trunk:
    """The rows of a trunk, at least one.

    `end` is the position that its branches begin at; `seen` are the places of the rows that eyes
    fill, picture by picture, where `ids` has placeholders.
    """

    ids: tuple[int, ...]
    positions: Sequence[Position]
    end: int
    seen: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class PromptTree:
    """A trunk, and its branches."""

    trunk: Trunk
    branches: tuple[tuple[Segment, ...], ...]


@dataclass(frozen=True)
class Example:
    """A worked example, shown before the product to a base model that does not know the format."""

    listing: Listing
    attributes: tuple[Attribute, ...]
    values: Mapping[str, Sequence[str]]


class Vocabulary:
    """A transformers tokenizer with the few facts about it that exactness needs."""

    def __init__(self, tokenizer: Any, end_ids: Sequence[int] = ()) -> None:
        """`end_ids` are the end tokens of the model's generation config."""
        self.tokenizer = tokenizer
        self._end_ids = set(end_ids)
        if tokenizer.eos_token_id is not None:
            self._end_ids.add(tokenizer.eos_token_id)

    @cached_property
    def size(self) -> int:
        """How many tokens there are; a model may have more logits."""
        return len(self.tokenizer)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without special tokens."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each of `texts`, in a third of the time: there may be ten thousand."""
        backend = self.tokenizer.backend_tokenizer
        # As `encode` does: a tokenizer may have been saved with either.
        backend.no_truncation()
        backend.no_padding()
        return [e.ids for e in backend.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`. Cleaning up spaces would damage values, so it is not done.

        By the backend, as `encode_all`: a listing has fifty answers of few tokens each.
        """
        return self.tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=True)

    @cached_property
    def newline(self) -> int:
        """The canonical newline token."""
        ids = self.encode("\n")
        if len(ids) != 1:
            raise ValueError(
                "the tokenizer has no single newline token; choose a base model with one"
            )
        return ids[0]

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """The end tokens and every token whose text contains a newline."""
        texts = self.tokenizer.batch_decode(
            [[i] for i in range(self.size)], clean_up_tokenization_spaces=False
        )
        newlines = {i for i, text in enumerate(texts) if "\n" in text}
        return frozenset(newlines | self._end_ids)

    @cached_property
    def stops(self) -> list[int]:
        """`stop_ids` in order."""
        return sorted(self.stop_ids)


class PromptBuilder:
    """Builds prompt trees; the same one serves generation and training."""

    def __init__(self, vocabulary: Vocabulary, settings: ServingSettings) -> None:
        self.vocabulary = vocabulary
        self.settings = settings
        self.segment = lru_cache(maxsize=65_536)(self._segment)
        """The question for an attribute."""
        self.cap = lru_cache(maxsize=65_536)(
            partial(answer_cap, vocabulary=vocabulary, limit=settings.max_answer_tokens)
        )
        """`answer_cap` of an attribute: what serving allows, and training teaches no more than."""

    def tree(
        self,
        listing: Listing,
        attributes: Sequence[Attribute],
        example: Example | None = None,
        batches: int | None = None,
        pictures: Sequence[PictureTokens] = (),
    ) -> PromptTree:
        """The prompt of `listing`, with `attributes` split into `batches` (None: the settings')."""
        count = self.settings.batches if batches is None else batches
        split = split_batches(attributes, count, listing.listing_id)
        return PromptTree(
            trunk=self.trunk(listing, example, pictures),
            branches=tuple(tuple(self.segment(a) for a in batch) for batch in split),
        )

    def trunk(
        self,
        listing: Listing,
        example: Example | None = None,
        pictures: Sequence[PictureTokens] = (),
    ) -> Trunk:
        """The trunk, its text cut to `max_trunk_tokens`, with the canonical newline at its end."""
        limit = self.settings.max_trunk_tokens
        text = trunk_text(listing, limit * CHARACTERS_PER_TOKEN)
        body = self.vocabulary.encode(text)[: limit - 1]
        shown = self.vocabulary.encode(example_text(example, self)) if example else []
        ids = [*shown, *body, self.vocabulary.newline]
        if not pictures:
            return Trunk(tuple(ids), range(len(ids)), len(ids))
        match self.settings.picture_place:
            case "first":
                place = len(shown)
            case "after_category":
                place = len(shown) + self._after_category(text, body)
            case "last":
                place = len(ids)
        return lay_out(ids[:place], pictures, ids[place:])

    def _after_category(self, text: str, body: Sequence[int]) -> int:
        """The place in `body`, the ids of `text`, after its first line."""
        line, _, rest = text.partition("\n")
        head = self.vocabulary.encode(line)
        alone = not rest or body[len(head) : len(head) + 1] == [self.vocabulary.newline]
        if alone and body[: len(head)] == head:
            return len(head) + 1
        # The tokenizer writes the line's end together with what is before or after it: then the
        # picture stands where the token does that covers the end.
        ends = (len(self.vocabulary.decode(body[:count])) > len(line) for count in range(len(body)))
        return next((count for count, over in enumerate(ends) if over), len(body))

    def answer(self, values: Sequence[str]) -> tuple[int, ...]:
        """The token ids that answer a segment: ` value` and the canonical newline."""
        return (*self.vocabulary.encode(answer_text(values)), self.vocabulary.newline)

    def _segment(self, attribute: Attribute) -> Segment:
        return Segment(
            attribute, tuple(self.vocabulary.encode(segment_text(attribute, self.settings)))
        )


def split_batches(
    attributes: Sequence[Attribute], batches: int, seed: str
) -> list[list[Attribute]]:
    """`attributes` split at random into `batches` nearly equal lists, seeded by `seed`.

    0 batches stands for one attribute each. There are never more batches than attributes.
    """
    count = min(batches or len(attributes), len(attributes))
    if count == 0:
        return []
    # Python's own hash is salted per process; the split must be the same in all of them.
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
    shuffled = list(attributes)
    random.Random(digest).shuffle(shuffled)
    return [shuffled[start::count] for start in range(count)]


def lay_out(
    before: Sequence[int], pictures: Sequence[PictureTokens], after: Sequence[int]
) -> Trunk:
    """The trunk of text ids around `pictures`, each where the one before it ends."""
    ids = list(before)
    positions: list[Position] = list(range(len(before)))
    seen: list[int] = []
    at = len(before)
    for picture in pictures:
        seen += (len(ids) + row for row in picture.rows)
        ids += picture.ids
        positions += (_moved(position, at) for position in picture.positions)
        at += picture.advance
    ids += after
    positions += range(at, at + len(after))
    return Trunk(tuple(ids), tuple(positions), at + len(after), tuple(seen))


def on_axes(positions: Sequence[Position]) -> Sequence[Position]:
    """`positions` as numbers, or where some have three axes all with three."""
    if all(isinstance(position, int) for position in positions):
        return positions
    return [(p, p, p) if isinstance(p, int) else p for p in positions]


def _moved(position: Position, by: int) -> Position:
    if isinstance(position, int):
        return position + by
    one, two, three = position
    return one + by, two + by, three + by


def trunk_text(listing: Listing, max_characters: int) -> str:
    """The product as the model reads it, each field that it has on one line, without markup and in
    NFC."""
    # Markup is often more than half of a text, and to read a megabyte of it takes half a second.
    title, description = (
        one_line(without_markup(text[: MARKUP_SHARE * max_characters]))
        for text in (listing.title, listing.description)
    )
    lines = [f"Category: {_one_line(listing.category)}"]
    if title:
        lines.append(f"Title: {title}")
    if description:
        lines.append(f"Description: {description[:max_characters]}")
    return "\n".join(lines)[:max_characters]


def segment_text(attribute: Attribute, settings: ServingSettings) -> str:
    """The question for `attribute`: its name and a hint at what is legal."""
    return f"{attribute.name} ({hint(attribute, settings.hint_values)}):"


def hint(attribute: Attribute, hint_values: int) -> str:
    """The allowed values where they are few and short, else the kind of value."""
    listed = ", ".join(attribute.values[:hint_values])
    match attribute.type:
        case AttributeType.ENUM if (
            len(attribute.values) <= hint_values and len(listed) <= MAX_HINT_CHARACTERS
        ):
            text = listed
        case AttributeType.ENUM:
            text = "choice"
        case AttributeType.NUMBER:
            text = " ".join(["number", "/".join(attribute.units)]).strip()
        case AttributeType.BOOLEAN:
            text = f"{YES}/{NO}"
        case AttributeType.PATTERN:
            text = str(attribute.pattern)
        case AttributeType.DATE:
            text = "YYYY-MM-DD"
        case AttributeType.TEXT:
            text = "text"
    if attribute.open:
        text += " or other"
    return f"{text}, several with {SEPARATOR.strip()}" if attribute.multi_value else text


def answer_text(values: Sequence[str]) -> str:
    """The text that answers a segment with `values`: what is generated, taught and allowed."""
    return " " + format_answer(values)


def answer_cap(attribute: Attribute, vocabulary: Vocabulary, limit: int) -> int:
    """The cap on an answer's new tokens: those of the longest legal value, and its stop.

    A yes or no, a date and an allowed value of less than `ALLOWED_VALUE_TOKENS` always have room.
    Of a number, a pattern and a text nobody knows how long they get, so they have `limit` at most.
    So have the values of a multi-valued attribute together, except that each of them has room
    alone: an answer of 100 values would hold up all others in its pass.

    Since the stop is counted, an answer that its cap ends is longer than every value that has room.
    """
    match attribute.type:
        case AttributeType.ENUM:
            longest = _longest_allowed(attribute, vocabulary, max(limit, ALLOWED_VALUE_TOKENS) - 1)
            if attribute.open:
                longest = max(longest, _longest_text(attribute, limit))
        case AttributeType.BOOLEAN:
            longest = max(_lengths((YES, NO), vocabulary))
        case AttributeType.DATE:
            longest = DATE_CHARACTERS
        case AttributeType.NUMBER:
            longest = limit - 1
        case AttributeType.PATTERN | AttributeType.TEXT:
            longest = _longest_text(attribute, limit)
    if not attribute.multi_value:
        return longest + 1
    # After each value a separator, after the last one the stop.
    together = attribute.max_values * (longest + len(vocabulary.encode(SEPARATOR.rstrip())))
    return max(longest + 1, min(limit, together))


def _longest_text(attribute: Attribute, limit: int) -> int:
    return min(limit - 1, attribute.text_length * BYTES_PER_CHARACTER + 1)


def _longest_allowed(attribute: Attribute, vocabulary: Vocabulary, most: int) -> int:
    """The tokens of the longest allowed value, up to `most`; warns of what is longer."""
    lengths = _lengths(attribute.values, vocabulary)
    too_long = sum(length > most for length in lengths)
    if too_long:
        logger.warning(
            "attribute %r: %d of %d allowed values are longer than %d tokens; they can never be "
            "answered: shorten them, or raise serving.max_answer_tokens",
            attribute.name,
            too_long,
            len(lengths),
            most,
        )
    return min(max(lengths), most)


def _lengths(values: Sequence[str], vocabulary: Vocabulary) -> list[int]:
    return [len(ids) for ids in vocabulary.encode_all([answer_text([value]) for value in values])]


def example_text(example: Example, builder: PromptBuilder) -> str:
    """A worked example as text: its product, its answered questions, and a blank line."""
    settings = builder.settings
    limit = settings.max_trunk_tokens * CHARACTERS_PER_TOKEN
    lines = [trunk_text(example.listing, limit)]
    answered: Values = example.values
    for attribute in example.attributes:
        values = answered.get(attribute.name)
        if values:
            lines.append(f"{segment_text(attribute, settings)} {format_answer(values)}")
    return "\n".join(lines) + "\n\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())
