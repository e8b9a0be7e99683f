"""Triton's stub finds the shared library of the running Python, or says which one to bring."""

import sys
import sysconfig
from pathlib import Path

import pytest

from infra.local.errors import LocalError
from infra.local.triton import LIBRARY_FOLDER, Triton, python_library_dir

LIBRARY = f"libpython3.{sys.version_info.minor}.so.1.0"


@pytest.fixture
def python_without_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: None)
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "nowhere"))


@pytest.mark.usefixtures("python_without_library")
def test_a_python_without_its_shared_library_is_told_what_to_install(tmp_path: Path) -> None:
    package = f"install the package libpython3\\.{sys.version_info.minor}"
    with pytest.raises(
        LocalError, match=f"Triton needs {LIBRARY}, which this Python lacks: {package}"
    ):
        python_library_dir(tmp_path)


@pytest.mark.usefixtures("python_without_library")
def test_a_library_that_was_fetched_with_triton_is_used(tmp_path: Path) -> None:
    (tmp_path / LIBRARY_FOLDER).mkdir()
    (tmp_path / LIBRARY_FOLDER / LIBRARY).touch()
    assert python_library_dir(tmp_path) == tmp_path / LIBRARY_FOLDER


def test_shared_memory_that_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    triton = Triton(tmp_path, tmp_path, tmp_path / "work", grpc_port=1, metrics_port=2)
    left, other = (
        Path("/dev/shm") / f"{triton._region_prefix}x",
        Path(f"/dev/shm/other-{id(triton)}"),
    )
    try:
        left.touch()
        other.touch()
        triton.prepare()
        assert not left.exists()
        assert other.exists()
    finally:
        other.unlink()
