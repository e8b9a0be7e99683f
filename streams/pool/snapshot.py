"""Copies of a pool's file, so that a worker on another machine need not read the topics whole.

A copy is the pool as of some offsets. Whoever begins with it reads on from there, as after a stop;
what has happened since is in the topics. So a copy is never wrong, only old; one that is older than
what the topics keep is refused at start-up like any pool that retention has overtaken.
"""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb

from serving.process.files import publish
from streams.pool.shard import Shard
from streams.pool.store import Pool
from streams.settings import StreamsSettings

logger = logging.getLogger("listune.snapshot")

_COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def take(pool: Pool) -> Path | None:
    """Copies the file of `pool` into `snapshot_dir`; None where none was made.

    Call it on the thread that has the pool: nothing is written meanwhile.
    """
    if pool.settings.snapshot_dir is None:
        return None
    path = _path(pool.settings.snapshot_dir, pool.settings, pool.shard)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial")
    try:
        pool.con.execute("CHECKPOINT")
        # By another process: closing the file here would give up DuckDB's lock on it (POSIX).
        subprocess.run([sys.executable, "-c", _COPY, str(pool.path), str(aside)], check=True)
    except (duckdb.Error, subprocess.CalledProcessError) as error:
        logger.warning("no copy of the pool %s was made: %s", pool.path, error)
        return None
    publish(aside, path)
    return path


def restore(settings: StreamsSettings, shard: Shard) -> bool:
    """Begins the file of `shard` with its last copy, where there is one and no file yet."""
    path = shard.path(settings)
    if settings.snapshot_dir is None or path.exists():
        return False
    kept = _path(settings.snapshot_dir, settings, shard)
    if not kept.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial")
    shutil.copyfile(kept, aside)
    publish(aside, path)
    logger.info("the pool %s begins with the copy %s", path, kept)
    return True


def _path(folder: Path, settings: StreamsSettings, shard: Shard) -> Path:
    return folder / f"{shard.name(settings.pool)}.duckdb"
