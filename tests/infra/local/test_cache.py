"""A cached part is fetched once; a broken or half-finished one is noticed and fetched again."""

import errno
import json
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local import fetch
from infra.local.cache import MANIFEST, Part, ensure, is_whole, sha256
from infra.local.errors import PartError
from infra.local.progress import folder_size

pytestmark = pytest.mark.slow


class Source:
    """A part whose files are written here, and how often it was asked for."""

    def __init__(self) -> None:
        self.fetched = 0
        self.part = Part("thing-1.0", "the thing", 1, self.install)

    def install(self, target: Path, work: Path) -> None:
        self.fetched += 1
        (work / "download").write_text("packed")
        (target / "lib").mkdir()
        (target / "lib" / "a.jar").write_text("the first file")
        (target / "b.jar").write_text("the second file")


@pytest.fixture
def source() -> Source:
    return Source()


def test_a_part_is_fetched_once(tmp_path: Path, source: Source) -> None:
    folder = ensure(source.part, tmp_path)
    assert folder == tmp_path / "thing-1.0"
    assert (folder / "lib" / "a.jar").read_text() == "the first file"
    assert ensure(source.part, tmp_path) == folder
    assert source.fetched == 1
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda folder: (folder / "b.jar").write_text("the sec"), id="cut off"),
        pytest.param(lambda folder: (folder / "b.jar").unlink(), id="missing"),
        pytest.param(lambda folder: (folder / MANIFEST).unlink(), id="without manifest"),
        pytest.param(lambda folder: (folder / MANIFEST).write_text('{"fil'), id="half a manifest"),
        pytest.param(lambda folder: (folder / MANIFEST).write_text("[]"), id="another manifest"),
    ],
)
def test_a_broken_part_is_fetched_again(
    tmp_path: Path, source: Source, damage: Callable[[Path], object]
) -> None:
    folder = ensure(source.part, tmp_path)
    damage(folder)
    assert not is_whole(folder)
    ensure(source.part, tmp_path)
    assert source.fetched == 2
    assert is_whole(folder, verify=True)


def test_a_changed_byte_is_noticed_when_asked_to_verify(tmp_path: Path, source: Source) -> None:
    folder = ensure(source.part, tmp_path)
    (folder / "b.jar").write_text("the sEcond file")
    assert is_whole(folder)
    ensure(source.part, tmp_path, verify=True)
    assert source.fetched == 2
    assert (folder / "b.jar").read_text() == "the second file"


def test_a_fetch_that_was_cut_off_is_done_again(tmp_path: Path, source: Source) -> None:
    def cut_off(target: Path, work: Path) -> None:
        (target / "b.jar").write_text("the")
        raise PartError("cut off")

    with pytest.raises(PartError, match="cut off"):
        ensure(Part("thing-1.0", "the thing", 1, cut_off), tmp_path)
    assert not (tmp_path / "thing-1.0").exists()
    leftover = tmp_path / ".thing-1.0.part" / "part"  # as SIGKILL would leave it
    leftover.mkdir(parents=True)
    (leftover / "c.jar").write_text("half")

    folder = ensure(source.part, tmp_path)
    assert sorted(path.name for path in folder.rglob("*.jar")) == ["a.jar", "b.jar"]


def test_two_processes_do_not_fetch_at_once(tmp_path: Path) -> None:
    counts: list[int] = []

    def slow(target: Path, work: Path) -> None:
        counts.append(1)
        time.sleep(0.3)
        (target / "a").write_text("a")

    part = Part("slow", "the slow one", 1, slow)
    both = [threading.Thread(target=ensure, args=(part, tmp_path)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert counts == [1]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    def full(target: Path, work: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(PartError, match=r"No space for the thing in .*: free 7 MB"):
        ensure(Part("thing", "the thing", 7, full), tmp_path)
    with pytest.raises(PartError, match="No space for the thing"):
        ensure(Part("thing", "the thing", 10**12, full), tmp_path)


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path, source: Source) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PartError, match="name another folder in LISTUNE_LOCAL__CACHE_DIR"):
        ensure(source.part, tmp_path / "file")


def fake_wheel(folder: Path) -> Path:
    """A wheel that pip accepts, in a folder that can serve as its only index."""
    wheel = folder / "tiny_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_thing/data.txt", "data")
        info = "tiny_thing-1.0.dist-info"
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_wheel_comes_through_pip_and_is_checked(tmp_path: Path, index: Path) -> None:
    digest = sha256(fake_wheel(index))
    wheel = fetch.download_wheel("tiny-thing", "1.0", digest, _new(tmp_path / "work"))
    assert sha256(wheel) == digest


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, index: Path) -> None:
    fake_wheel(index)
    with pytest.raises(PartError, match="broken or not the published one"):
        fetch.download_wheel("tiny-thing", "1.0", "0" * 64, _new(tmp_path / "work"))


@pytest.mark.usefixtures("index")
def test_a_wheel_that_cannot_be_fetched_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PartError, match=r"^pip cannot fetch tiny-thing 1\.0 \(.*\): check the net"):
        fetch.download_wheel("tiny-thing", "1.0", "0" * 64, _new(tmp_path / "work"))


def test_jars_that_are_not_the_pinned_ones_are_named(tmp_path: Path) -> None:
    (tmp_path / "kafka-clients-4.3.0.jar").write_text("something else")
    with pytest.raises(PartError, match=r"not the expected ones \(.*kafka-clients-4\.3\.0\.jar"):
        fetch._check_jars(tmp_path)


def test_a_base_model_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PartError, match=r"has no config\.json"):
        fetch.ensure_base_model(tmp_path, str(tmp_path))


def test_a_killed_fetch_leaves_a_lock_that_does_not_block(tmp_path: Path, source: Source) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from infra.local.cache import *\n"
        "def die(target, work): os.kill(os.getpid(), signal.SIGKILL)\n"
        "ensure(Part('thing-1.0', 'x', 1, die), Path(sys.argv[1]))"
    )
    repository = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=repository, check=False)
    assert (tmp_path / ".thing-1.0.part").exists()
    ensure(source.part, tmp_path)
    assert json.loads((tmp_path / "thing-1.0" / MANIFEST).read_text())["files"].keys() == {
        "b.jar",
        "lib/a.jar",
    }


def test_progress_counts_the_bytes_of_a_folder(tmp_path: Path, source: Source) -> None:
    source.install(_new(tmp_path / "target"), _new(tmp_path / "work"))
    assert folder_size(tmp_path) == len("packed" + "the first file" + "the second file")


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder
