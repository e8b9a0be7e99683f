"""Where what was seen is kept."""

import os
from pathlib import Path

import pytest

from serving.errors import PictureMissing
from serving.pictures.picture import Picture
from serving.pictures.store import PictureStore

ONE, OTHER = Picture(b"one"), Picture(b"another")


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore(str(tmp_path / "kept"))


def test_what_was_written_is_read_by_its_hash(store: PictureStore) -> None:
    store.write(ONE)
    store.write(OTHER)
    assert store.read(ONE.sha256) == ONE
    assert store.read(OTHER.sha256) == OTHER
    assert set(store.hashes()) == {ONE.sha256, OTHER.sha256}


def test_a_picture_lies_in_a_folder_of_its_first_two_digits(
    store: PictureStore, tmp_path: Path
) -> None:
    store.write(ONE)
    file = tmp_path / "kept" / ONE.sha256[:2] / f"{ONE.sha256}.jpg"
    assert file.read_bytes() == ONE.data
    assert [path for path in (tmp_path / "kept").rglob("*") if path.is_file()] == [file]


def test_the_same_picture_again_writes_nothing(store: PictureStore, tmp_path: Path) -> None:
    store.write(ONE)
    file = tmp_path / "kept" / ONE.sha256[:2] / f"{ONE.sha256}.jpg"
    os.utime(file, (1, 1))
    inode = file.stat().st_ino
    store.write(ONE)
    assert (file.stat().st_ino, file.stat().st_mtime) == (inode, 1)


def test_what_was_removed_is_missing_and_removing_it_again_is_no_error(store: PictureStore) -> None:
    store.write(ONE)
    store.remove(ONE.sha256)
    store.remove(ONE.sha256)
    with pytest.raises(PictureMissing, match=ONE.sha256):
        store.read(ONE.sha256)
    assert not list(store.hashes())


def test_a_damaged_file_counts_as_missing_and_is_mended_by_the_next_write(
    store: PictureStore, tmp_path: Path
) -> None:
    store.write(ONE)
    (tmp_path / "kept" / ONE.sha256[:2] / f"{ONE.sha256}.jpg").write_bytes(b"on")
    with pytest.raises(PictureMissing):
        store.read(ONE.sha256)
    store.write(ONE)
    assert store.read(ONE.sha256) == ONE


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_what_is_no_hash_is_missing_and_touches_nothing(store: PictureStore, name: str) -> None:
    with pytest.raises(PictureMissing):
        store.read(name)
    store.remove(name)


def test_another_file_in_the_folder_is_no_picture(store: PictureStore, tmp_path: Path) -> None:
    store.write(ONE)
    (tmp_path / "kept" / "ab").mkdir(exist_ok=True)
    (tmp_path / "kept" / "ab" / "notes.jpg").write_bytes(b"")
    (tmp_path / "kept" / "ab" / f"{OTHER.sha256}.tmp").write_bytes(b"")
    assert list(store.hashes()) == [ONE.sha256]
