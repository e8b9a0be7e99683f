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
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from schemas.category import Attribute
from schemas.values import Values, format_answer
from serving.answer_cap import answer_cap
from serving.listing import Listing
from serving.prompt_texts import CHARACTERS_PER_TOKEN, answer_text, segment_text, trunk_text
from serving.settings import ServingSettings
from serving.vocabulary import Vocabulary


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
