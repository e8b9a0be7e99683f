"""What is seen of a listing's pictures: got, checked, shrunk and kept, and why some are not seen.

A picture never makes a request fail here. One that cannot be had leaves a sentence, and the others
are seen.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from serving.errors import PictureError, PictureMissing, PictureRefused, PictureUnavailable
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


Tell = Callable[[str, float], None]
"""Is told of each picture `seen`, or why it was not (`refused`, `unavailable`, `missing`, `late`),
and the seconds that it took, with those in the queue."""

_OUTCOMES = {PictureRefused: "refused", PictureMissing: "missing"}


def _tell_nobody(outcome: str, seconds: float) -> None:
    """For whoever does not count."""


class Looker:
    """The eyes of one worker. At most `looking.at_once` pictures are under way at a time."""

    def __init__(
        self,
        looking: LookingSettings,
        most: int,
        edge: int,
        fetcher: Fetcher | None = None,
        tell: Tell = _tell_nobody,
    ) -> None:
        """Look at no more than `most` pictures of a listing, each at most `edge` px long."""
        self._tell = tell
        self._looking = looking
        self._most = most
        self._edge = edge
        self._fetcher = fetcher or Fetcher(looking)
        self._store = PictureStore(looking.store)
        self._closed = False
        self._turns = asyncio.Semaphore(looking.at_once)
        # Decoding blocks, and takes memory: no more at a time than there are cores to do it.
        workers = min(looking.at_once, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="pictures")

    async def look(self, uris: Sequence[str], within_s: float | None = None) -> Looked:
        """Get, check, shrink and keep the first `most` of `uris`; the same URI twice is one.

        One that has not come within `within_s` seconds is not seen. None: as patient as settings
        say.
        """
        named = tuple(dict.fromkeys(uris))
        until = None if within_s is None else asyncio.get_running_loop().time() + within_s
        looked = await self._each(named[: self._most], self._seen, until)
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
        """Close what is open: pictures under way may fail, and who asks from now on is given up."""
        self._closed = True
        await self._fetcher.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _each(
        self,
        names: Sequence[str],
        one: Callable[[str, float | None], Awaitable[Picture]],
        until: float | None = None,
    ) -> Looked:
        if self._closed:  # the next process looks: no answer may go out that says otherwise
            raise asyncio.CancelledError
        outcomes = await asyncio.gather(*(self._in_turn(name, one, until) for name in names))
        return Looked(
            tuple(outcome for outcome in outcomes if isinstance(outcome, Picture)),
            tuple(outcome for outcome in outcomes if isinstance(outcome, str)),
        )

    async def _in_turn(
        self, name: str, one: Callable[[str, float | None], Awaitable[Picture]], until: float | None
    ) -> Picture | str:
        """The picture, or the sentence that says why not."""
        began = time.monotonic()
        said: Picture | str
        try:
            async with asyncio.timeout_at(until):
                await self._turns.acquire()
            try:
                outcome, said = "seen", await one(name, until)
            finally:
                self._turns.release()
        except TimeoutError:
            outcome, said = (
                "late",
                f"The picture {shown(name)} is not looked at: it did not come while the request "
                "had patience; ask with more.",
            )
        except PictureError as error:
            outcome, said = _OUTCOMES.get(type(error), "unavailable"), str(error)
        except Exception:
            # It would end the worker, and the next one at the same listing.
            _log.exception("the picture %s is not looked at", shown(name))
            outcome, said = (
                "unavailable",
                f"The picture {shown(name)} is not looked at: it failed here; see the log.",
            )
        self._tell(outcome, time.monotonic() - began)
        return said

    async def _seen(self, uri: str, until: float | None) -> Picture:
        async with asyncio.timeout_at(until):
            data = await self._fetcher.fetch(uri)
        # From here on it is kept, and so waited for: whoever asks is to know what was kept for it.
        return await self._in_thread(self._check_and_keep, uri, data)

    async def _kept(self, sha256: str, _: float | None) -> Picture:
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
        except PictureMissing as error:  # without the store's place
            raise PictureMissing(
                f"The picture {sha256[:64]!r} is not seen again: it was removed from the store of "
                "pictures or is damaged there, or the store was another one."
            ) from error
        except OSError as error:
            raise self._no_store(f"The picture {sha256[:64]!r} is not seen again", error) from error

    def _no_store(self, what: str, error: OSError) -> PictureUnavailable:
        # The log alone has the path or the endpoint: a note may reach a seller.
        _log.error("The store of pictures, %s, does not work: %s", self._looking.store, error)
        return PictureUnavailable(f"{what}: the store of pictures does not work; see the log.")

    async def _in_thread(self, work: Callable[..., Picture], *arguments: object) -> Picture:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, *arguments)
