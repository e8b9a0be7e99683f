"""The best listings of all shards for a round: asked for, written by each shard, put together.

The conductor asks in its shard's report, each other shard answers in its own
(`streams.pool.peers`). The files go over a disk that all curate workers share, as a round's do.
"""

import hashlib
import logging
from pathlib import Path

from schemas.events import new_id
from streams.pool.peers import Candidates, Collect, Peers
from streams.pool.selection import Selected, merge, select, write_candidates
from streams.pool.state import champion
from streams.pool.store import Pool

# A collect that a shard has not answered for so long is asked for anew.
COLLECT_MS = 10_000

logger = logging.getLogger("listune.conductor")


class Collector:
    """One shard's part in it. `asked` is what the conductor, here, waits for; None elsewhere."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._offered: Candidates | None = None
        self._asked_ms = 0
        self.asked: Collect | None = None

    def best(self, k: int, v: int, now_ms: int, peers: Peers) -> list[Selected]:
        """The k + v best under the champion, fewer where there are fewer.

        Of several shards empty until each has answered: call it again at the next tick.
        """
        settings, live = self._pool.settings, champion(self._pool.con).hash
        if not peers.others:
            return select(self._pool.con, live, k, v, settings.selection, settings.min_gap)
        asked = self.asked
        if (
            asked is None
            or asked.champion_hash != live
            or asked.size < k + v
            or now_ms - self._asked_ms >= COLLECT_MS
        ):
            self.asked = Collect(collect_id=new_id(), champion_hash=live, size=k + v)
            self._asked_ms = now_ms
            return []
        others = peers.candidates(asked.collect_id)
        if others is None:
            return []
        self.asked = None
        return self._merged([self._write(asked), *others], k, v)

    def offer(self, asked: Collect | None) -> Candidates | None:
        """This shard's answer to the conductor: the last one, if it asks for nothing new."""
        known = self._offered.collect_id if self._offered else None
        live = champion(self._pool.con).hash
        if asked and asked.champion_hash == live and asked.collect_id != known:
            self._offered = self._write(asked)
        return self._offered

    def _merged(self, offered: list[Candidates], k: int, v: int) -> list[Selected]:
        for one in offered:
            path = Path(one.path)
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != one.sha256:
                logger.warning(
                    "%s is not what a shard wrote, it is asked again; all curate workers need "
                    "this folder on a disk that they share", path,
                )  # fmt: skip
                return []
        best = merge(self._pool.con, [Path(one.path) for one in offered], k, v)
        # One may have been forgotten here since the other shard wrote its file.
        return [row for row in best if not self._pool.is_forgotten(row.listing_id)]

    def _write(self, asked: Collect) -> Candidates:
        settings = self._pool.settings
        name = f"{self._pool.shard.name(settings.pool)}.parquet"
        path = settings.pool_dir.resolve() / "candidates" / name
        sha256 = write_candidates(
            self._pool.con,
            asked.champion_hash,
            asked.size,
            settings.selection,
            settings.min_gap,
            path,
        )
        return Candidates(collect_id=asked.collect_id, path=str(path), sha256=sha256)
