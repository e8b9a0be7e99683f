"""What stands in a prompt, in words: the product, a question, an answer."""

from collections.abc import Sequence

from schemas.category import Attribute, AttributeType
from schemas.markup import without_markup
from schemas.texts import one_line
from schemas.values import NO, SEPARATOR, YES, format_answer
from serving.listing import Listing
from serving.settings import ServingSettings

# A description is cut to this many characters before it is tokenised: four a token is typical,
# and tokenising a megabyte to throw most of it away would block the engine.
CHARACTERS_PER_TOKEN = 8
# A text has this many times the characters that are left of it without markup, at most.
MARKUP_SHARE = 8
# Allowed values are listed up to this many characters: a question is part of every prompt.
MAX_HINT_CHARACTERS = 1000


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


def _one_line(text: str) -> str:
    return " ".join(text.split())
