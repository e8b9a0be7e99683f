"""A file is whole, or as it was before."""

from pathlib import Path

import pytest

from serving.process import files
from serving.process.files import publish, write_file


def test_a_file_is_written_with_the_folders_above_it(tmp_path):
    path = tmp_path / "some" / "folder" / "file"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path], "nothing is left beside it"


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_file(path, b"before")

    def full(path: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(files, "_sync", full)
    with pytest.raises(OSError, match="no space"):
        write_file(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_its_name_only_once_it_is_on_the_disk(tmp_path, monkeypatch):
    aside, path = tmp_path / "file.partial", tmp_path / "file"
    aside.write_bytes(b"content")
    synced = []
    monkeypatch.setattr(files, "_sync", lambda path: synced.append((path, aside.exists())))
    publish(aside, path)
    assert synced == [(aside, True), (tmp_path, False)]
    assert path.read_bytes() == b"content"
