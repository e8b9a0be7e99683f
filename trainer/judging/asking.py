"""A generator asked about many listings, several of them at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from serving.generation import GenerationRequest, GenerationResult, Generator
from serving.prompt import Example
from trainer.data.dataset import Row
from trainer.judging.evaluate import EvaluationKey


def question(row: Row, key: EvaluationKey, example: Example | None) -> GenerationRequest:
    """What the adapter that `key` names is asked about `row`."""
    return GenerationRequest(
        listing=row.listing,
        attributes=row.attributes,
        mode=key.mode,
        adapter_hash=key.adapter_hash,
        example=example,
    )


def answers(
    generator: Generator,
    requests: Sequence[GenerationRequest],
    in_flight: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[GenerationResult]:
    """The answers to `requests` in their order, up to `in_flight` of them asked for at once.

    Args:
        generator: must take requests from several threads if `in_flight` is above 1.
        progress: told (answers in order so far, requests in all) after each, in this thread.

    Raises:
        EngineError: that of the first request that has one. Nothing is under way any more by then,
            and what was not asked for yet will not be.
    """
    results = []
    with ThreadPoolExecutor(in_flight, "ask") as threads:
        for result in threads.map(generator.generate, requests):
            results.append(result)
            progress(len(results), len(requests))
    return results
