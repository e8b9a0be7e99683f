"""The cache of fetched parts: fetched once, checked, whole or not there at all.

A part is one folder of the cache. It is filled in a folder aside, gets a manifest of every file's
size and SHA-256 as its last file, and is then renamed into place, so a folder with a manifest that
agrees with its files is a complete part and anything else is fetched again. A lock per part keeps
two processes from fetching at once.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import PartError

MANIFEST = "MANIFEST.json"

Watch = Callable[[Path], None]
"""Called with the folder that is about to grow, so that a progress bar can follow it."""


@dataclass(frozen=True)
class Part:
    """One thing to fetch.

    folder: its name in the cache, with the version in it, so that a new version is a new part.
    label: what a person calls it.
    megabytes: the size of all that is written while it is fetched, for progress and free space.
    install: `install(target, work)` fills `target`; `work` is a scratch folder, thrown away after.
    """

    folder: str
    label: str
    megabytes: int
    install: Callable[[Path, Path], None]


def ensure(
    part: Part, cache_dir: Path, *, verify: bool = False, watch: Watch | None = None
) -> Path:
    """Return the part's folder, fetching it if it is missing or broken.

    verify: compare every hash, not only the sizes.
    Raises PartError when it cannot be fetched.
    """
    folder = cache_dir / part.folder
    if is_whole(folder, verify=verify):
        return folder
    with _explained(part, cache_dir), _lock(folder):
        if not is_whole(folder, verify=verify):  # another process may have been first
            _fetch(part, folder, watch)
    return folder


def is_whole(folder: Path, *, verify: bool = False) -> bool:
    """Whether the folder holds all that its manifest says, by size or (verify) by hash too."""
    try:
        files: dict[str, list[int | str]] = json.loads((folder / MANIFEST).read_text())["files"]
        return all(
            (folder / name).stat().st_size == size
            and (not verify or sha256(folder / name) == digest)
            for name, (size, digest) in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(part: Part, folder: Path, watch: Watch | None) -> None:
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)  # left by a fetch that was cut off
    target, work = aside / "part", aside / "work"
    target.mkdir(parents=True)
    work.mkdir()
    free = shutil.disk_usage(aside).free
    if free < part.megabytes * 1_000_000:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if watch:
        watch(aside)
    try:
        part.install(target, work)
        _write_manifest(target)
        if folder.exists():
            shutil.rmtree(folder)
        target.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_manifest(target: Path) -> None:
    paths = sorted(path for path in target.rglob("*") if path.is_file())
    files = {str(path.relative_to(target)): [path.stat().st_size, sha256(path)] for path in paths}
    with (target / MANIFEST).open("w") as file:
        json.dump({"files": files}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _explained(part: Part, cache_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PartError(
                f"No space for {part.label} in {cache_dir}: free {part.megabytes} MB, or name "
                "another folder in LISTUNE_LOCAL__CACHE_DIR."
            ) from error
        raise PartError(
            f"Cannot write {part.label} into the cache ({error}): make {cache_dir} writable, or "
            "name another folder in LISTUNE_LOCAL__CACHE_DIR."
        ) from error
