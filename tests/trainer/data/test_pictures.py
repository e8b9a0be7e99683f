"""The pictures of rows come out of the store, and what it lost is said."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from serving.errors import PictureMissing
from serving.listing import Listing
from serving.pictures.picture import Picture
from serving.pictures.store import PictureStore
from tests.builders import make_rows
from trainer.data.dataset import Row
from trainer.data.pictures import RowPictures
from trainer.errors import DataError

ONE, TWO, THREE = (Picture(data) for data in (b"one", b"two", b"three"))


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    store = PictureStore(str(tmp_path / "pictures"))
    for picture in (ONE, TWO, THREE):
        store.write(picture)
    return store


def row(*pictures: Picture, title: str = "a mug") -> Row:
    hashes = tuple(picture.sha256 for picture in pictures)
    return Row(Listing(f"l{len(title)}{hashes}", "Mugs", title), (), {}, pictures=hashes)


def test_a_rows_pictures_come_in_its_order_and_no_more_than_are_looked_at(
    store: PictureStore,
) -> None:
    assert RowPictures(store, 2).of(row(THREE, ONE, TWO)) == (THREE, ONE)
    assert RowPictures(store, 0).of(row(THREE, ONE, TWO)) == ()


def test_a_picture_that_is_gone_is_passed_over(store: PictureStore) -> None:
    store.remove(ONE.sha256)
    assert RowPictures(store, 3).of(row(ONE, TWO)) == (TWO,)


def test_rows_name_the_pictures_that_are_looked_at_and_nothing_is_said(
    store: PictureStore, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [*make_rows(2), row(ONE, TWO)]
    assert RowPictures(store, 1).in_store(rows, "judged") == [*make_rows(2), row_of(rows[2], ONE)]
    assert RowPictures(store, 0).in_store([row(ONE, title="")], "judged")[0].pictures == ()
    assert not caplog.records


def test_without_its_picture_a_row_is_known_by_its_text_and_without_text_left_out(
    store: PictureStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.remove(ONE.sha256)
    with_text, alone, other = row(ONE), row(ONE, title=""), row(ONE, TWO, title="")
    rows = [*make_rows(1), with_text, alone, other]
    with caplog.at_level(logging.WARNING):
        kept = RowPictures(store, 2).in_store(rows, "judged")
    assert kept == [*make_rows(1), row_of(with_text), row_of(other, TWO)]
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("1 pictures of 3 of 4 listings are not in the store any more")
    assert said.endswith(
        "2 of them are judged without these, and 1, which have no text, are left out"
    )


def test_a_row_that_never_had_a_picture_stays_without_text_too(store: PictureStore) -> None:
    bare = row(title="")
    assert RowPictures(store, 2).in_store([bare], "judged") == [bare]


def test_a_store_that_does_not_work_ends_it_with_a_sentence() -> None:
    class Broken(PictureStore):
        def read(self, sha256: str) -> Picture:
            raise PermissionError("not allowed")

    with pytest.raises(DataError, match=r"not allowed.*serving.looking.store"):
        RowPictures(Broken("nowhere"), 1).of(row(ONE))
    with pytest.raises(PictureMissing):
        PictureStore("nowhere").read(ONE.sha256)


def row_of(row: Row, *pictures: Picture) -> Row:
    return replace(row, pictures=tuple(picture.sha256 for picture in pictures))
