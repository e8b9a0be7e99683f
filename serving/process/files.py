"""Files that are whole or not there, whenever the machine or the process ends."""

import os
import threading
from pathlib import Path


def write_file(path: Path, content: bytes) -> None:
    """Write `content` so that after a crash the file is whole, or as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        aside.write_bytes(content)
        publish(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def publish(aside: Path, path: Path) -> None:
    """Give the finished file `aside` the name `path`, in the same folder.

    On the disk before it has its name: a name never stands for half a file.
    """
    _sync(aside)
    aside.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
