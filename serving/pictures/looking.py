"""What is seen of a listing's pictures: got, checked, shrunk and kept, and why some are not seen.

A picture never makes a request fail here. One that cannot be had leaves a sentence, and the others
are seen.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from serving.errors import PictureError, PictureRefused, PictureUnavailable
from serving.pictures.addresses import shown
from serving.pictures.checking import check
from serving.pictures.fetching import Fetcher
from serving.pictures.picture import Picture
from serving.pictures.settings import LookingSettings
from serving.pictures.store import PictureStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Looked:
    """What was seen, and what was not."""

    pictures: tuple[Picture, ...] = ()
    """In the order of the URIs, those that could be had."""
    notes: tuple[str, ...] = ()
    """A sentence for each that could not."""


class Looker:
    """The eyes of one worker. At most `looking.at_once` pictures are under way at a time."""

    def __init__(
        self, looking: LookingSettings, most: int, edge: int, fetcher: Fetcher | None = None
    ) -> None:
        """Look at no more than `most` pictures of a listing, each at most `edge` px long."""
        self._looking = looking
        self._most = most
        self._edge = edge
        self._fetcher = fetcher or Fetcher(looking)
        self._store = PictureStore(looking.store)
        self._turns = asyncio.Semaphore(looking.at_once)
        # Decoding blocks, and takes memory: no more at a time than there are cores to do it.
        workers = min(looking.at_once, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="pictures")

    async def look(self, uris: Sequence[str]) -> Looked:
        """Get, check, shrink and keep the first `most` of `uris`; the same URI twice is one."""
        named = tuple(dict.fromkeys(uris))
        looked = await self._each(named[: self._most], self._seen)
        if (over := len(named) - self._most) <= 0 or not self._most:
            return looked
        note = (
            f"{over} more of the listing's pictures were not looked at; {self._most} is the most."
        )
        return Looked(looked.pictures, (*looked.notes, note))

    async def again(self, hashes: Sequence[str]) -> Looked:
        """What was seen before, out of the store."""
        return await self._each(hashes[: self._most], self._kept)

    async def close(self) -> None:
        """Close what is open. Pictures that are under way may fail."""
        await self._fetcher.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _each(self, names: Sequence[str], one: Callable[[str], Awaitable[Picture]]) -> Looked:
        async def in_turn(name: str) -> Picture | str:
            async with self._turns:
                try:
                    return await one(name)
                except PictureError as error:
                    return str(error)

        outcomes = await asyncio.gather(*(in_turn(name) for name in names))
        return Looked(
            tuple(outcome for outcome in outcomes if isinstance(outcome, Picture)),
            tuple(outcome for outcome in outcomes if isinstance(outcome, str)),
        )

    async def _seen(self, uri: str) -> Picture:
        data = await self._fetcher.fetch(uri)
        return await self._in_thread(self._check_and_keep, uri, data)

    async def _kept(self, sha256: str) -> Picture:
        return await self._in_thread(self._from_store, sha256)

    def _check_and_keep(self, uri: str, data: bytes) -> Picture:
        looking = self._looking
        try:
            picture = check(data, self._edge, looking.max_bytes, looking.max_pixels)
        except PictureRefused as error:
            raise PictureRefused(f"The picture {shown(uri)} is not looked at: {error}.") from error
        try:
            self._store.write(picture)
        except OSError as error:
            # What is not kept could not be trained on, nor found by one who forgets a listing.
            raise self._no_store(f"The picture {shown(uri)} is not looked at", error) from error
        return picture

    def _from_store(self, sha256: str) -> Picture:
        try:
            return self._store.read(sha256)
        except OSError as error:
            raise self._no_store(f"The picture {sha256[:64]!r} is not seen again", error) from error

    def _no_store(self, what: str, error: OSError) -> PictureUnavailable:
        # The log alone has the path or the endpoint: a note may reach a seller.
        _log.error("The store of pictures, %s, does not work: %s", self._looking.store, error)
        return PictureUnavailable(f"{what}: the store of pictures does not work; see the log.")

    async def _in_thread(self, work: Callable[..., Picture], *arguments: object) -> Picture:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, *arguments)
