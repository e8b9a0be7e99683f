"""The pictures of rows: the bytes that were seen of a listing, for training and judging alike.

They come out of the store that the predict worker filled (`serving.pictures.store`), one row at a
time, so that memory holds those of the listings at work only.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from schemas.identity import told
from serving.errors import PictureMissing
from serving.pictures.picture import Picture
from serving.pictures.store import PictureStore
from serving.settings import ServingSettings
from trainer.data.dataset import Row
from trainer.errors import DataError

logger = logging.getLogger(__name__)

READERS = 8
"""Pictures read at a time to see whether they are there: an object store answers slowly."""


class RowPictures:
    """Reads the pictures of rows, at most `most` of each. May be used from several threads."""

    def __init__(self, store: PictureStore, most: int) -> None:
        self._store = store
        self._most = most

    @classmethod
    def of_settings(cls, serving: ServingSettings) -> "RowPictures":
        """Those that `serving` keeps and looks at."""
        return cls(PictureStore(serving.looking.store), serving.pictures)

    def of(self, row: Row) -> tuple[Picture, ...]:
        """The pictures of `row` in its order; one that is not there any more is passed over.

        Raises:
            DataError: the store cannot be read.
        """
        found = (self._read(sha256) for sha256 in row.pictures[: self._most])
        return tuple(picture for picture in found if picture is not None)

    def in_store(self, rows: Sequence[Row], use: str) -> list[Row]:
        """`rows` with those of their pictures that are looked at and that the store still has.

        A row that lost all its pictures and has no text is left out. What is lost is said in one
        warning.

        Args:
            use: what the rows are for, as the warning says it: `judged`, `trained on`.

        Raises:
            DataError: the store cannot be read.
        """
        looked_at = {sha256 for row in rows for sha256 in row.pictures[: self._most]}
        there = self._there(sorted(looked_at))
        found = [self._reduced(row, there) for row in rows]
        kept = [row for row in found if row is not None]
        if missing := looked_at - there:
            lost = [
                row.listing.listing_id
                for row in rows
                if not missing.isdisjoint(row.pictures[: self._most])
            ]
            logger.warning(
                "%d pictures of %d of %d listings are not in the store any more, such as those of "
                "%s; %d of them are %s without these, and %d, which have no text, are left out",
                len(missing), len(lost), len(rows), told(lost[0]),
                len(lost) - (len(rows) - len(kept)), use, len(rows) - len(kept),
            )  # fmt: skip
        return kept

    def _reduced(self, row: Row, there: set[str]) -> Row | None:
        """`row` with the pictures that are `there`; None if nothing is left to be seen of it."""
        looked_at = row.pictures[: self._most]
        left = tuple(sha256 for sha256 in looked_at if sha256 in there)
        if looked_at and not left and not row.has_text:
            return None
        return row if left == row.pictures else replace(row, pictures=left)

    def _there(self, hashes: Sequence[str]) -> set[str]:
        with ThreadPoolExecutor(READERS, "pictures") as threads:
            read = threads.map(lambda sha256: self._read(sha256) is not None, hashes)
            return {sha256 for sha256, there in zip(hashes, read, strict=True) if there}

    def _read(self, sha256: str) -> Picture | None:
        try:
            return self._store.read(sha256)
        except PictureMissing:
            return None
        except OSError as error:
            raise DataError(
                f"the pictures' store cannot be read ({error}); see `serving.looking.store`"
            ) from error
