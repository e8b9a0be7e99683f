"""A process says that it is ready by a file, to whoever asks for one."""

import os

from serving.process.ready import READY_FILE, clear_ready, tell_ready


def test_the_file_holds_the_process_id_until_it_is_cleared(tmp_path, monkeypatch):
    path = tmp_path / "ready"
    monkeypatch.setenv(READY_FILE, str(path))
    clear_ready()
    tell_ready()
    assert path.read_text() == f"{os.getpid()}\n"
    clear_ready()
    assert not path.exists()


def test_nothing_is_written_where_nobody_asks(tmp_path, monkeypatch):
    monkeypatch.delenv(READY_FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    tell_ready()
    clear_ready()
    assert list(tmp_path.iterdir()) == []
