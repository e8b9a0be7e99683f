"""The listings of a round from all shards: asked for, written by each shard, put together.

The conductor asks in its shard's report, each other shard answers in its own
(`streams.pool.peers`). The files go over a disk that all curate workers share, as a round's do.
"""

import hashlib
import logging
from dataclasses import replace
from pathlib import Path

from schemas.events import new_id
from streams.pool import heldout
from streams.pool.deciding.selected import Selected
from streams.pool.deciding.selection import Chosen, merge, select, write_candidates
from streams.pool.peers import Candidates, Collect, Peers
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

    def best(self, k: int, spare: int, now_ms: int, peers: Peers) -> Chosen | None:
        """The k best under the champion, fewer where there are fewer, and those that judge.

        Of several shards None until each has answered: call it again at the next tick. Each names
        `spare` more, for those that are passed over.
        """
        settings, con = self._pool.settings, self._pool.con
        if not peers.others:
            by = (settings.selection, settings.min_gap)
            return select(con, champion(con).hash, k, *by, settings.heldout_most)
        paths = self._paths(k + spare, now_ms, peers)
        return None if paths is None else self._merged(paths, k)

    def held_out(self, now_ms: int, peers: Peers) -> list[Selected] | None:
        """Those that judge; of several shards None until each has answered."""
        if not peers.others:
            return heldout.newest(self._pool.con, self._pool.settings.heldout_most)
        paths = self._paths(1, now_ms, peers)
        return None if paths is None else self._merged(paths, 0).held_out

    def offer(self, asked: Collect | None) -> Candidates | None:
        """This shard's answer to the conductor: the last one, if it asks for nothing new."""
        known = self._offered.collect_id if self._offered else None
        live = champion(self._pool.con).hash
        if asked and asked.champion_hash == live and asked.collect_id != known:
            self._offered = self._write(asked)
        return self._offered

    def _paths(self, size: int, now_ms: int, peers: Peers) -> list[Path] | None:
        """The files of all shards, each with its `size` best; None until each has answered."""
        asked, live = self.asked, champion(self._pool.con).hash
        if (
            asked is None
            or asked.champion_hash != live
            or asked.size < size
            or now_ms - self._asked_ms >= COLLECT_MS
        ):
            self.asked = Collect(collect_id=new_id(), champion_hash=live, size=size)
            self._asked_ms = now_ms
            return None
        others = peers.candidates(asked.collect_id)
        if others is None:
            return None
        self.asked = None
        offered = [self._write(asked), *others]
        for one in offered:
            path = Path(one.path)
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != one.sha256:
                logger.warning(
                    "%s is not what a shard wrote, it is asked again; all curate workers need "
                    "this folder on a disk that they share", path,
                )  # fmt: skip
                return None
        return [Path(one.path) for one in offered]

    def _merged(self, paths: list[Path], k: int) -> Chosen:
        """Without those that were forgotten here since another shard wrote its file."""
        found = merge(self._pool.con, paths, k, self._pool.settings.heldout_most)
        train, held_out = (
            [row for row in rows if not self._pool.is_forgotten(row.listing_id)]
            for rows in (found.train, found.held_out)
        )
        return replace(found, train=train, held_out=held_out)

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
            settings.heldout_most,
            path,
        )
        return Candidates(collect_id=asked.collect_id, path=str(path), sha256=sha256)
