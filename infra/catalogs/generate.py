"""The default catalog: generated, and the same for the same seed, byte for byte.

Each product first gets its full truth, drawn value by value from the vocabulary's odds. Its title
and description then mention about half of it, in other words as often as not, and say nothing
else about it: the rest can only be guessed from what is usual in the category. Product n depends
on the seed and on n alone.
"""

import random
import re

from infra.catalogs.catalog import Product
from infra.catalogs.vocabulary import (
    Category,
    Topic,
    Vocabulary,
    load_vocabulary,
    with_articles,
)
from schemas.category import CategorySchema, CategorySchemas
from schemas.events import ValueLists

TITLE_EXTRAS = (1, 3)
# What stands in the title is often said again below it.
SAID_AGAIN = 0.4
FILLER = 0.5


def generate(seed: int, count: int) -> tuple[CategorySchemas, list[Product]]:
    """The schemas of the generated catalog, and its first `count` products."""
    vocabulary = load_vocabulary()
    schemas = CategorySchemas(
        CategorySchema(category=c.name, attributes=tuple(t.attribute for t in c.topics))
        for c in vocabulary.categories
    )
    return schemas, [_product(vocabulary, seed, number) for number in range(count)]


def _product(vocabulary: Vocabulary, seed: int, number: int) -> Product:
    chance = random.Random(f"product/{seed}/{number}")
    category = _category(vocabulary, seed, number)
    truth = {topic.attribute.name: topic.draw(chance) for topic in category.topics}
    told = [topic for topic in category.topics if chance.random() < topic.mention]
    noun = chance.choice(category.nouns)
    names = _names(told, truth)
    in_title = _in_title(told, chance)
    extras = [topic.tell_in_title(truth[topic.attribute.name], chance) for topic in in_title]
    rest = [
        topic
        for topic in told
        if topic.attribute.name not in names
        and (topic not in in_title or chance.random() < SAID_AGAIN)
    ]
    chance.shuffle(rest)
    sayings = [topic.tell(truth[topic.attribute.name], chance) for topic in rest]
    return Product(
        product_id=f"gen-{seed}-{number:05d}",
        category=category.name,
        title=_title(vocabulary, names, noun, extras, chance),
        description=_description(vocabulary, names, noun, sayings, chance),
        truth=truth,
    )


def _category(vocabulary: Vocabulary, seed: int, number: int) -> Category:
    """Every category once in each stretch of as many products as there are categories."""
    lap, place = divmod(number, len(vocabulary.categories))
    order = list(vocabulary.categories)
    random.Random(f"categories/{seed}/{lap}").shuffle(order)
    return order[place]


def _names(told: list[Topic], truth: ValueLists) -> dict[str, str]:
    """Brand and model number where they are told: names, which stand in titles and openers."""
    told_names = {topic.attribute.name for topic in told}
    return {n: truth[n][0] for n in ("Brand", "Model Number") if n in told_names}


def _in_title(told: list[Topic], chance: random.Random) -> list[Topic]:
    candidates = [topic for topic in told if topic.title]
    chance.shuffle(candidates)
    return candidates[: chance.randint(*TITLE_EXTRAS)]


def _title(
    vocabulary: Vocabulary,
    names: dict[str, str],
    noun: str,
    extras: list[str],
    chance: random.Random,
) -> str:
    title = chance.choice(vocabulary.titles).format(
        brand=names.get("Brand", ""),
        model=names.get("Model Number", ""),
        noun=noun,
        extras=chance.choice((" ", ", ")).join(extras),
    )
    return _capital(_without_gaps(title))


def _without_gaps(title: str) -> str:
    """`title` without the punctuation around what was left out of it."""
    title = re.sub(r"\(\s*\)", " ", title)
    title = re.sub(r"\bby\s*(?=$|[A-Z]{2}-)", " ", title)
    title = re.sub(r"\|\s*(?=\||$)|,\s*(?=\(|$)|- *$", " ", title)
    title = re.sub(r"\s+(?=,)", "", re.sub(r",\s*(?=,)", "", title))
    return " ".join(title.split()).strip(" ,|-")


def _description(
    vocabulary: Vocabulary,
    names: dict[str, str],
    noun: str,
    sayings: list[str],
    chance: random.Random,
) -> str:
    openers = [o for o in vocabulary.openers if "Brand" in names or "{brand}" not in o]
    opener = chance.choice(openers).format(noun=noun, brand=names.get("Brand", ""))
    sentences = [saying for saying in sayings if saying.endswith(".")]
    phrases = [saying for saying in sayings if not saying.endswith(".")]
    while phrases:
        frames = [f for f in vocabulary.frames if f.count("{}") <= len(phrases)]
        frame = chance.choice(frames)
        count = frame.count("{}")
        sentences.append(frame.format(*phrases[:count]))
        phrases = phrases[count:]
    if chance.random() < FILLER:
        sentences.append(chance.choice(vocabulary.fillers))
    chance.shuffle(sentences)
    return " ".join(_capital(with_articles(text)) for text in (opener, *sentences) if text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
