"""Named bytes in an object store: S3, Google Cloud Storage or Azure, by their URL.

Credentials, region and endpoint come from the environment, under the names that the provider's own
tools use (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`,
`AZURE_STORAGE_ACCOUNT_NAME`, …: obstore's documentation lists them).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
PROVIDERS = ("AWS", "GOOGLE", "AZURE")
RETRIES = 1


class BucketError(OSError):
    """An object store does not do what was asked; the message is one line of its own."""


class Bucket:
    """What lies below one URL, such as `s3://shop/pictures`. Its methods block.

    Raises:
        BucketError: by each method, if the store cannot be reached or refuses.
    """

    def __init__(self, url: str, timeout_s: float, opened: "ObjectStore | None" = None) -> None:
        self._url = url
        self._timeout = timedelta(seconds=timeout_s)
        self._opened = opened

    def read(self, name: str, max_bytes: int | None = None) -> bytes | None:
        """The bytes under `name`, no more than `max_bytes` + 1 of them; None if there are none."""
        with _in_one_line():
            try:
                found = self._store.get(name)
            except FileNotFoundError:
                return None
            data = bytearray()
            for chunk in found.stream(min_chunk_size=1 << 16):
                data += chunk
                if max_bytes is not None and len(data) > max_bytes:
                    return bytes(data[: max_bytes + 1])
            return bytes(data)

    def write(self, name: str, data: bytes) -> None:
        """Put `data` under `name`, whole or not at all."""
        with _in_one_line():
            self._store.put(name, data)

    def remove(self, name: str) -> None:
        """Remove what is under `name`, if there is anything."""
        with _in_one_line():
            try:
                self._store.delete(name)
            except FileNotFoundError:
                return

    def names(self) -> Iterator[str]:
        """All names, in no order."""
        with _in_one_line():
            for some in self._store.list():
                yield from (found["path"] for found in some)

    @cached_property
    def _store(self) -> "ObjectStore":
        if self._opened is not None:
            return self._opened
        from obstore.store import from_url

        return from_url(
            self._url,
            client_options={"timeout": self._timeout, "allow_http": _http_allowed()},
            retry_config={"max_retries": RETRIES, "retry_timeout": 2 * self._timeout},
        )


def _http_allowed() -> bool:
    """What the environment says of it, which obstore forgets once it is given other options."""
    said = (os.environ.get(f"{provider}_ALLOW_HTTP", "") for provider in PROVIDERS)
    return any(word.lower() in ("true", "1") for word in said)


@contextmanager
def _in_one_line() -> Iterator[None]:
    """What obstore raises, as a `BucketError` with the first of its many lines."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        said = str(error).partition("\n")[0][:300]
        raise BucketError(said or type(error).__name__) from error
