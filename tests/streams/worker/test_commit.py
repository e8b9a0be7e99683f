"""A commit while the partitions move: refused, and no end of the process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.settings import StreamsSettings
from streams.worker import faust_app

HELD, GONE = ("listing.reviews", 0), ("listing.reviews", 1)


class ConsumerThread:
    """Faust's, which ends the process where it is to commit what it has no more: it leaves gone
    partitions out, and aiokafka takes no empty commit."""

    def __init__(self, settings: StreamsSettings, *held: tuple[str, int]) -> None:
        self._held = {TP(settings.in_kafka(topic), number) for topic, number in held}
        self.committed: dict[TP, int] = {}

    def assignment(self) -> set[TP]:
        return self._held

    async def call_thread(self, what: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        return await what(*given)

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        return bool(await self.call_thread(self._commit, offsets))

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        self.committed = {place: at for place, at in offsets.items() if place in self._held}
        if not self.committed:
            raise SystemExit("the worker is ended over partitions that are gone")
        return True


@pytest.mark.parametrize(("held", "done"), [((), False), ((HELD,), True), ((HELD, GONE), True)])
def test_a_commit_of_partitions_that_are_gone_is_refused(
    held: tuple[tuple[str, int], ...], done: bool
) -> None:
    settings = StreamsSettings()
    thread = ConsumerThread(settings, *held)
    app: Any = SimpleNamespace(consumer=SimpleNamespace(_thread=thread, _commit=thread.commit))
    offsets = {HELD: 7, GONE: 9}
    assert asyncio.run(faust_app.commit(app, settings, offsets)) is done
    assert len(thread.committed) == len(held)
