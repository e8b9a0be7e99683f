"""The bytes that a URI names, if the settings allow it: of a file, over https, in a bucket."""

import asyncio
import logging
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving.pictures.addresses import file_path, object_key, refusal, scheme_of, too_long
from serving.pictures.buckets import SCHEMES, Bucket, BucketError
from serving.pictures.settings import LookingSettings
from serving.pictures.web import Network, Web

_log = logging.getLogger(__name__)


class Fetcher:
    """Gets what a URI names, of one worker."""

    def __init__(self, looking: LookingSettings, network: Network | None = None) -> None:
        self._looking = looking
        self._network = network or Network()
        self._web: Web | None = None
        self._buckets: dict[str, Bucket] = {}
        # Not the loop's own: a disk or a store that hangs would hold up the brokers' names there.
        self._threads = ThreadPoolExecutor(looking.at_once, thread_name_prefix="fetching")

    async def fetch(self, uri: str) -> bytes:
        """The bytes that `uri` names, at most `max_bytes`.

        Raises:
            PictureUnavailable: if it is not allowed, not there, too long or too slow.
        """
        scheme = scheme_of(uri)
        if scheme == "https":
            return await self._of_the_web().fetch(uri)
        if scheme == "file":
            return await self._in_thread(self._file, uri)
        if scheme in SCHEMES:
            return await self._in_thread(self._object, uri)
        raise refusal(uri, f"`{scheme[:20]}:` is not read; use `https:`, `file:`, `s3:`, …")

    async def close(self) -> None:
        """Close what is open."""
        if self._web:
            await self._web.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[str], bytes], uri: str) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, uri)

    def _of_the_web(self) -> Web:
        if self._web is None:
            self._web = Web(self._looking, self._network)
        return self._web

    def _file(self, uri: str) -> bytes:
        path = file_path(uri, self._looking.root)
        try:
            return self._short_enough(uri, self._read(uri, path))
        except OSError as error:
            raise refusal(uri, f"the file cannot be read ({error.strerror})") from error

    def _read(self, uri: str, path: Path) -> bytes:
        # Neither a link that was put there since, nor a pipe or a device that never ends.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise refusal(uri, "it is no file")
            return file.read(self._looking.max_bytes + 1)

    def _object(self, uri: str) -> bytes:
        base, key = object_key(uri, self._looking.buckets)
        bucket = self._buckets.setdefault(base, Bucket(base, self._looking.timeout_s))
        try:
            data = bucket.read(key, self._looking.max_bytes)
        except BucketError as error:
            _log.warning(
                "%s cannot be read: %s", base, error
            )  # names the endpoint: not for sellers
            why = "the object store refuses, or cannot be reached; the worker's log says more"
            raise refusal(uri, why) from error
        if data is None:
            raise refusal(uri, "there is no such object")
        return self._short_enough(uri, data)

    def _short_enough(self, uri: str, data: bytes) -> bytes:
        if len(data) > self._looking.max_bytes:
            raise too_long(uri, self._looking.max_bytes)
        return data
