"""Copies of a pool's file, from which a standby on another machine begins.

A copy is the pool as of some offsets. Whoever begins with it reads on from there, as after a stop;
what has happened since is in the topics. So a copy is never wrong, only old; one that is older than
what the topics keep is refused at start-up like any pool that retention has overtaken.
"""

import hashlib
import logging
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import duckdb

from serving.process.files import publish
from streams.pool.file import connect, pool_path
from streams.pool.store import Pool
from streams.settings import StreamsSettings

logger = logging.getLogger("listune.snapshot")

# Which topics a file was made of, and how many of their records it has read.
_STANDS = """
SELECT (SELECT list(value ORDER BY name) FROM store.meta
        WHERE name = 'cluster_id' OR name LIKE 'topic:%'),
       (SELECT coalesce(sum(next_offset), 0) FROM store.watermarks)
"""
_COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def take(pool: Pool) -> Path | None:
    """Copies the file of `pool` into `snapshot_dir`; None where none was made.

    Call it on the thread that has the pool: nothing is written meanwhile.
    """
    if pool.settings.snapshot_dir is None:
        return None
    path = pool.settings.snapshot_dir / pool.path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    # One that slept and its stand-in may copy at the same time; no file is of both.
    copier = hashlib.sha256(f"{socket.gethostname()}:{pool.path.resolve()}".encode()).hexdigest()
    aside = path.with_suffix(f".{copier[:8]}.partial")
    try:
        pool.con.execute("CHECKPOINT")
        # By another process: closing the file here would give up DuckDB's lock on it (POSIX).
        subprocess.run([sys.executable, "-c", _COPY, str(pool.path), str(aside)], check=True)
    except (duckdb.Error, subprocess.CalledProcessError) as error:
        logger.warning("no copy of the pool %s was made: %s", pool.path, error)
        return None
    publish(aside, path)
    return path


def restore(settings: StreamsSettings) -> bool:
    """Begins the pool's file with its last copy, where that is further than the file, if any.

    A worker that stands by may have a file from when it worked last.

    Raises:
        PoolError: another process has the file.
    """
    path = pool_path(settings)
    if settings.snapshot_dir is None:
        return False
    kept = settings.snapshot_dir / path.name
    if not kept.exists() or (path.exists() and not _is_further(kept, path)):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial")
    shutil.copyfile(kept, aside)
    publish(aside, path)
    logger.info("the pool %s begins with the copy %s", path, kept)
    return True


def _is_further(kept: Path, path: Path) -> bool:
    """Whether the copy is of the same topics as the file, and has read more of them."""
    with duckdb.connect(str(kept), read_only=True) as copy, connect(path) as own:
        (of, read), (own_of, own_read) = (con.execute(_STANDS).fetchall()[0] for con in (copy, own))
    return bool(of == own_of and read > own_read)
