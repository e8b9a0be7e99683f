"""A generator asked about many listings, several of them at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from serving.generation import GenerationRequest, GenerationResult, Generator
from serving.pictures.picture import Picture
from serving.prompt import Example
from trainer.data.dataset import Row
from trainer.judging.evaluate import EvaluationKey


def question(
    row: Row, key: EvaluationKey, example: Example | None = None, pictures: Sequence[Picture] = ()
) -> GenerationRequest:
    """What the adapter that `key` names is asked about `row`; `pictures` are the row's own."""
    return GenerationRequest(
        listing=row.listing,
        attributes=row.attributes,
        mode=key.mode,
        adapter_hash=key.adapter_hash,
        example=example,
        pictures=tuple(picture.data for picture in pictures),
    )


def answers(
    generator: Generator,
    rows: Sequence[Row],
    ask: Callable[[Row], GenerationRequest],
    in_flight: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[GenerationResult]:
    """The answers about `rows` in their order, up to `in_flight` of them asked for at once.

    Args:
        generator: must take requests from several threads if `in_flight` is above 1.
        ask: makes the request of a row, when it is that row's turn: its pictures are in memory
            until it is answered, and no others.
        progress: told (answers in order so far, rows in all) after each, in this thread.

    Raises:
        EngineError: that of the first request that has one. Nothing is under way any more by then,
            and what was not asked for yet will not be.
    """
    results = []
    with ThreadPoolExecutor(in_flight, "ask") as threads:
        for result in threads.map(lambda row: generator.generate(ask(row)), rows):
            results.append(result)
            progress(len(results), len(rows))
    return results
