"""Where what was seen is kept: each picture once, by its hash, as `aa/aabb….jpg`.

A later round trains on the same pixels, a shadow answers from them, and what is forgotten is
removed. The bytes are checked against the hash whenever they are read, so a damaged file counts as
missing and is written anew when its picture comes again.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from serving.errors import PictureMissing
from serving.pictures.buckets import SCHEMES, Bucket
from serving.pictures.picture import Picture
from serving.process.files import write_file

TIMEOUT_S = 10.0
"""Patience with one request to an object store."""

_HASH = re.compile(r"[0-9a-f]{64}")


class _Place(Protocol):
    """Named bytes somewhere. Whoever writes a name writes it whole."""

    def read(self, name: str) -> bytes | None: ...
    def write(self, name: str, data: bytes) -> None: ...
    def remove(self, name: str) -> None: ...
    def names(self) -> Iterator[str]: ...


class PictureStore:
    """The pictures in a folder or below an object store's URL. Any number of processes share one.

    Its methods block.

    Raises:
        OSError: by each method, if the place does not work.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        in_a_bucket = where.partition("://")[0] in SCHEMES
        self._place: _Place = (
            Bucket(where, TIMEOUT_S) if in_a_bucket else _Folder(Path(where).expanduser())
        )

    def read(self, sha256: str) -> Picture:
        """The picture of that hash.

        Raises:
            PictureMissing: if it was never kept, was removed, or is damaged.
        """
        if _HASH.fullmatch(sha256):
            data = self._place.read(_name(sha256))
            if data is not None and hashlib.sha256(data).hexdigest() == sha256:
                return Picture(data)
        raise PictureMissing(
            f"The picture {sha256[:64]!r} is not in {self._where}: it was removed or is damaged, "
            "or `serving.looking.store` was another one."
        )

    def write(self, picture: Picture) -> None:
        """Keep `picture`. One that is there already is not written again."""
        try:
            self.read(picture.sha256)
        except PictureMissing:
            self._place.write(_name(picture.sha256), picture.data)

    def remove(self, sha256: str) -> None:
        """Remove the picture of that hash; that it is not there is no error."""
        if _HASH.fullmatch(sha256):
            self._place.remove(_name(sha256))

    def hashes(self) -> Iterator[str]:
        """The hashes of all that is kept, in no order."""
        for name in self._place.names():
            sha256 = name.rpartition("/")[2].removesuffix(".jpg")
            if _HASH.fullmatch(sha256) and name == _name(sha256):
                yield sha256


def _name(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}.jpg"


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        write_file(self._folder / name, data)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        for file in self._folder.glob("??/*.jpg"):
            yield file.relative_to(self._folder).as_posix()
