"""Progress of work whose only sign is a folder that grows: a bar that follows its size."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from infra.local.cache import Watch

INTERVAL_S = 0.3


@contextmanager
def growing(console: Console, label: str, megabytes: int) -> Iterator[Watch]:
    """Yield a function that, once given the folder, lets the bar follow it towards `megabytes`."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    done = threading.Event()
    followers: list[threading.Thread] = []
    with Progress(*columns, console=console) as progress:
        total = megabytes * 1_000_000
        task = progress.add_task(f"fetching {label}", total=total)

        def follow(folder: Path) -> None:
            while not done.wait(INTERVAL_S):
                progress.update(task, completed=min(folder_size(folder), total))

        def watch(folder: Path) -> None:
            followers.append(threading.Thread(target=follow, args=(folder,), daemon=True))
            followers[0].start()

        try:
            yield watch
            done.set()
            progress.update(task, completed=total)
        finally:
            done.set()
            for follower in followers:
                follower.join()


def folder_size(folder: Path) -> int:
    """Bytes of the files under the folder, as far as they are still there when looked at."""
    total = 0
    for where, _, names in os.walk(folder):  # goes on when a folder has just been removed
        for name in names:
            with suppress(OSError):
                total += Path(where, name).stat().st_size
    return total
