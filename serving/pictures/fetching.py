"""The bytes that a URI names, if the settings allow it: files below a root."""

import asyncio
import os
import stat
from pathlib import Path

from serving.errors import PictureUnavailable
from serving.pictures.addresses import file_path, refusal, scheme_of
from serving.pictures.settings import LookingSettings


class Fetcher:
    """Gets what a URI names, of one worker."""

    def __init__(self, looking: LookingSettings) -> None:
        self._looking = looking

    async def fetch(self, uri: str) -> bytes:
        """The bytes that `uri` names, at most `max_bytes`.

        Raises:
            PictureUnavailable: if it is not allowed, not there, too long or too slow.
        """
        scheme = scheme_of(uri)
        if scheme == "file":
            return await asyncio.to_thread(self._file, uri)
        raise refusal(uri, f"`{scheme[:20]}:` is no scheme that is read; use `file:`")

    async def close(self) -> None:
        """Close what is open."""

    def _file(self, uri: str) -> bytes:
        path = file_path(uri, self._looking.root)
        try:
            return self._read(uri, path)
        except OSError as error:
            raise refusal(uri, f"the file cannot be read ({error.strerror})") from error

    def _read(self, uri: str, path: Path) -> bytes:
        # Neither a link that was put there since, nor a pipe or a device that never ends.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise refusal(uri, "it is no file")
            data = file.read(self._looking.max_bytes + 1)
        if len(data) > self._looking.max_bytes:
            raise too_long(uri, self._looking.max_bytes)
        return data


def too_long(uri: str, max_bytes: int) -> PictureUnavailable:
    """The error for what has more bytes than are read."""
    return refusal(uri, f"it has more than {max_bytes:,} bytes; send a smaller one")
