"""The requests that the predict worker passes on, and the answer that they all get.

Each asks for the 50 attributes of one category in which the serving benchmark asks as well, about a
text of 2,000 characters. The answer has a value for every attribute. The same for the same seed.
"""

from collections.abc import Iterator
from itertools import cycle, islice

from infra.lab.bench.listings import full_answer, generated
from schemas.category import CategorySchema
from schemas.events import BASE_ADAPTER, ListingRequest
from serving.generation import GenerationResult

TEXT = 2_000
"""Characters of a description."""
PRODUCTS = 8


def schema() -> CategorySchema:
    """The category that all requests are of, with its 50 attributes."""
    question = generated(1)[0]
    return CategorySchema(category=question.listing.category, attributes=question.attributes)


def requests(schema: CategorySchema, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` requests of `schema`'s category, each with its listing's id."""
    texts = [question.listing.description for question in generated(PRODUCTS)]
    for number, text in enumerate(islice(cycle(texts), count)):
        request = ListingRequest(
            request_id=f"request-{number}",
            listing_id=f"listing-{number}",
            category=schema.category,
            category_schema_hash=schema.hash,
            title=f"Product {number}",
            description=" ".join([text] * (TEXT // len(text) + 1))[:TEXT],
        )
        yield request.listing_id, request.to_bytes()


def answer(schema: CategorySchema) -> GenerationResult:
    """What an engine would answer that fills every attribute."""
    question = generated(1)[0]
    assert question.attributes == schema.attributes
    values = {
        name: [value] if isinstance(value, str) else list(value)
        for name, value in full_answer(question).items()
    }
    return GenerationResult(
        values=values,
        invalid={},
        confidence={name: round(0.5 + len(name) / 97, 6) for name in values},
        adapter_id=BASE_ADAPTER,
        adapter_hash=BASE_ADAPTER,
        batches=len(values),
        forward_passes=12,
        tokens_computed=900,
        logits_computed=250,
        seconds=0.0,
    )
