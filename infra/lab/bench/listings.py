"""The listings that the benchmarks of serving and of training work on.

- `generated`: products of the demo's generated catalog in its two large categories, with ten
  attributes added so that every listing asks for 50 of every kind. Texts are chosen by length, so
  that the trunk is 140 to 190 tokens of SmolLM2's. The same for the same seed.
- `flipkart`: a real catalog; each product is asked for its category's attributes.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from infra.catalogs.catalog import Product, read_catalog
from infra.catalogs.generate import generate
from schemas.category import Attribute, AttributeType
from schemas.errors import ListuneError
from schemas.events import ValueLists
from schemas.sources.json_schema import read_schemas
from serving.listing import Listing
from serving.prompt_texts import trunk_text
from serving.vocabulary import Vocabulary

GENERATED, FLIPKART = "generated", "flipkart"

CATEGORIES = ("Electronics > Wireless Headphones", "Clothing > Rain Jackets")
CHARACTERS = (600, 655)
"""Of a trunk: such texts are 140 to 190 tokens, about 165 on average."""
# Products are drawn in portions until enough have a text of that length.
PORTION = 600

_SHADES = (
    "alabaster amber apricot ash aubergine azure bronze burgundy cactus caramel coral denim ecru "
    "fern flint ginger graphite indigo ivory jade khaki lagoon lilac magenta maroon mint moss navy "
    "ochre olive onyx peach petrol pine plum rust sage sand slate teal"
)
_COUNTRIES = "AT BE CZ DE DK ES FI FR GR HU IE IT NL NO PL PT RO SE SK UK"
EXTRA = (
    Attribute(name="Shade", type=AttributeType.ENUM, values=tuple(_SHADES.split())),
    Attribute(
        name="Sold In",
        type=AttributeType.ENUM,
        values=tuple(_COUNTRIES.split()),
        multi_value=True,
        max_values=5,
    ),
    Attribute(name="Box Weight", type=AttributeType.NUMBER, units=("g", "kg"), minimum=0),
    Attribute(name="Pieces per Carton", type=AttributeType.NUMBER, minimum=1, maximum=200),
    Attribute(name="Article Code", type=AttributeType.PATTERN, pattern=r"[A-Z]{3}\d{4}"),
    Attribute(name="Box Contents", type=AttributeType.TEXT, max_length=40, multi_value=True),
    Attribute(name="Slogan", type=AttributeType.TEXT, max_length=60),
    Attribute(name="Designer", type=AttributeType.TEXT, max_length=30),
    Attribute(name="Returnable Until", type=AttributeType.DATE),
    Attribute(name="Refurbished", type=AttributeType.BOOLEAN),
)


@dataclass(frozen=True)
class Question:
    """A listing, what is asked about it, and the values known of it."""

    listing: Listing
    attributes: tuple[Attribute, ...]
    truth: ValueLists


def sets(folder: Path, count: int, console: Console) -> dict[str, list[Question]]:
    """`count` listings of each set by its name; a set that is not there is said to be left out."""
    found = {GENERATED: generated(count)}
    try:
        found[FLIPKART] = flipkart(folder, count)
    except ListuneError as reason:
        console.print(f"Left out: {reason}", style="yellow")
    return found


def generated(count: int, seed: int = 7) -> list[Question]:
    """`count` listings with 50 attributes each."""
    found: list[Question] = []
    drawn = 0
    while len(found) < count:
        schemas, products = generate(seed, drawn + PORTION)
        for product in products[drawn:]:
            question = _question(product, (*schemas[product.category].attributes, *EXTRA))
            length = len(trunk_text(question.listing, 10_000))
            if product.category in CATEGORIES and CHARACTERS[0] <= length <= CHARACTERS[1]:
                found.append(question)
        drawn += PORTION
    return found[:count]


def flipkart(folder: Path, count: int, seed: int = 7) -> list[Question]:
    """`count` listings of the real catalog in `folder`, drawn evenly from all of it.

    Raises:
        ListuneError: the folder has no such catalog.
    """
    if not (folder / "listings.jsonl").is_file():
        raise ListuneError(f"there is no Flipkart catalog in {folder}; name it with --flipkart")
    schemas = read_schemas(folder / "schema.json")
    products, _ = read_catalog(folder / "listings.jsonl", schemas)
    chosen = random.Random(seed).sample(products, min(count, len(products)))
    return [_question(product, product.attributes(schemas)) for product in chosen]


def full_answer(question: Question) -> dict[str, str | list[str]]:
    """A value for every attribute: the known one, else the plainest legal one.

    It is what a complete JSON answer holds, and so how many tokens one must have.
    """
    answer: dict[str, str | list[str]] = {}
    for attribute in question.attributes:
        values = question.truth.get(attribute.name) or [_plain_value(attribute)]
        answer[attribute.name] = list(values) if attribute.multi_value else values[0]
    return answer


def read_vocabulary(base: Path) -> Vocabulary:
    """The tokenizer in the folder `base`, with the end tokens of its generation config."""
    from transformers import AutoTokenizer

    generation = base / "generation_config.json"
    named = json.loads(generation.read_text())["eos_token_id"] if generation.is_file() else []
    end_ids = named if isinstance(named, list) else [named]
    return Vocabulary(AutoTokenizer.from_pretrained(base), end_ids)


def _question(product: Product, attributes: Sequence[Attribute]) -> Question:
    listing = Listing(product.product_id, product.category, product.title, product.description)
    return Question(listing, tuple(attributes), product.truth)


def _plain_value(attribute: Attribute) -> str:
    match attribute.type:
        case AttributeType.ENUM:
            return attribute.values[0]
        case AttributeType.NUMBER:
            return " ".join(["10", *attribute.units[:1]])
        case AttributeType.BOOLEAN:
            return "no"
        case AttributeType.DATE:
            return "2026-01-31"
        case AttributeType.PATTERN:
            return "ABC1234"
        case AttributeType.TEXT:
            return "standard"
