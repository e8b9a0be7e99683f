"""When a round begins and on which listings, when a challenger is looked at again, and when a round
that came to nothing is tried again.

What the trigger sees is read in `deciding.trigger`. Every answer here is an event for the conductor
to say; what a round takes is marked in the pool at once.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from schemas.events import ManifestFile, ModelEvent, ModelEventKind, RetrainRequest, Trigger
from schemas.topic_names import RETRAIN
from streams.pool import heldout, round_rows
from streams.pool.deciding.drift import DriftWatch
from streams.pool.deciding.rollout import WORKER
from streams.pool.deciding.selection import Chosen, mark_used, select
from streams.pool.deciding.trigger import (
    AcceptanceDrop,
    Candidates,
    NextLook,
    Outlook,
    Tried,
    last_began_ms,
    next_look,
    outlook,
)
from streams.pool.manifest import Role, count_origins, write_manifest
from streams.pool.selected import Selected
from streams.pool.spread import Shares
from streams.pool.state import OpenRound, champion, fruitless_rounds, last_round
from streams.pool.store import Pool

# A wish for a round that could not be granted for so long, or that a rebuild reads again, lapses.
WISH_LAPSES_MS = 600_000
# What no round would take, such as near-duplicates of held-out listings, is found out when one is
# put together; so long it holds the next try back, which would find nearly the same.
BELIEVED_MS = 60_000

logger = logging.getLogger("listune.conductor")


@dataclass(frozen=True)
class _LastTry:
    """What the last try at a round under a champion found, and until when it is believed."""

    champion_hash: str = ""
    found: Tried = field(default_factory=Tried)
    until_ms: int = 0


class Rounds:
    """Puts rounds together, and says when."""

    def __init__(self, pool: Pool, drift: DriftWatch) -> None:
        """`drift`: the alarm that may ask for a round."""
        self._pool = pool
        self._con = pool.con
        self._settings = pool.settings
        self._drift = drift
        self._acceptance_fell = AcceptanceDrop(self._con, self._settings)
        self._candidates = Candidates(self._con, self._settings)
        self._last_try = _LastTry()

    def look(self, now_ms: int) -> Outlook:
        """What the trigger sees now. Of a million listings it takes as long as all the rest of a
        tick."""
        fell: Trigger | None = "acceptance" if self._acceptance_fell(now_ms) else None
        if self._settings.drift.action == "round" and self._drift(now_ms).raised:
            fell = "drift"
        tried = self._tried(now_ms)
        return outlook(self._con, self._settings, now_ms, fell, self._candidates, tried)

    def next_look(self, now_ms: int) -> NextLook | None:
        """The next look at the challenger; None where there is none to look at."""
        return next_look(self._con, self._settings, lambda: self._candidates.judges(now_ms))

    def could_take(self, now_ms: int) -> int:
        """The fresh listings that a round could take, as far as known."""
        return self._candidates.fresh(now_ms).within - self._tried(now_ms).short

    def are_spent(self) -> bool:
        """Whether as many rounds have been as `max_rounds` allows."""
        return 0 < self._settings.max_rounds <= last_round(self._con)

    def begin(self, now_ms: int, look: Callable[[], Outlook]) -> RetrainRequest | None:
        """A round that is due by `deciding.trigger`, or that a person asks for; None where none is.

        Args:
            look: what the trigger sees; asked for only where a round may begin.
        """
        settings = self._settings
        wished = self._wished_for(now_ms)
        if not wished and (self.are_spent() or fruitless_rounds(self._con) >= settings.pause_after):
            return None
        seen = look()
        if wished and (missing := _missing(seen)):
            logger.warning("a round was asked for, but %s", missing)
            self._drop_wishes()
            return None
        why: Trigger | None = "person" if wished else seen.due
        if why is None:
            return None
        # A round that begins early takes what is there.
        k = min(settings.k, seen.have)
        chosen = self._select(k, seen, now_ms)
        least = {"count": seen.need, "person": 1}.get(why, seen.least)
        if len(chosen.train) >= least and len(chosen.held_out) >= seen.held_out_needed:
            return self._request(why, chosen, seen, now_ms)
        return None

    def look_again(self, now_ms: int, again: NextLook) -> RetrainRequest | None:
        """A further look at the challenger, on the held-out listings that are there by now."""
        waiting = again.challenger
        settings, shares = self._settings, Shares.among_judges(self._settings)
        held_out = heldout.newest(self._con, settings.heldout_most, shares, settings.heldout_least)
        if not held_out:
            return None
        look = waiting.look + 1
        file = self._write(held_out, "heldout", f"r{waiting.round}-look{look}-heldout")
        return waiting.request.model_copy(
            update={
                "look": look,
                "created_ms": now_ms,
                "files": [file],
                "blind_held_out": sum(one.blind for one in held_out),
            }
        )

    def conduct(self, current: OpenRound, now_ms: int) -> ModelEvent | RetrainRequest | None:
        """The end of a lease that ran out, or another attempt at a round that failed."""
        if current.state in ("training", "judging") and 0 < current.lease_until_ms < now_ms:
            return ModelEvent(
                created_ms=now_ms,
                kind=ModelEventKind.FAILED,
                pool=self._settings.pool,
                round=current.round,
                attempt=current.attempt,
                look=current.look,
                worker=WORKER,
                reason="lease_expired",
            )
        if current.state == "failed" and current.request is not None:
            again = {"attempt": current.attempt + 1, "created_ms": now_ms}
            return current.request.model_copy(update=again)
        return None

    def _tried(self, now_ms: int) -> Tried:
        """What the last try found, as long as it is believed."""
        last = self._last_try
        stands = last.champion_hash == champion(self._con).hash and now_ms < last.until_ms
        return last.found if stands else Tried()

    def _select(self, k: int, seen: Outlook, now_ms: int) -> Chosen:
        """What a round of k would take; where that is less than was seen, it is remembered."""
        settings, adapter_hash = self._settings, champion(self._con).hash
        chosen = select(
            self._con,
            adapter_hash,
            k,
            settings.selection,
            settings.min_gap,
            settings.heldout_most,
            Shares.among_trained(settings),
            Shares.among_judges(settings),
            settings.heldout_least,
        )
        # Without enough for k it has looked at all.
        before, missing = self._tried(now_ms), k - len(chosen.train)
        short = before.short + seen.have - len(chosen.train) if missing else chosen.near_held_out
        judging = before.held_out_short + seen.held_out - len(chosen.held_out)
        found = Tried(short, chosen.near_held_out, max(0, judging))
        self._last_try = _LastTry(adapter_hash, found, now_ms + BELIEVED_MS)
        for listings, why in (
            (chosen.near_held_out, "near-duplicates of held-out ones"),
            (chosen.over_share, "beyond the share of one seller, category or product"),
        ):
            if listings:
                logger.info("%d listings are passed over: %s", listings, why)
        return chosen

    def _request(self, why: Trigger, chosen: Chosen, seen: Outlook, now_ms: int) -> RetrainRequest:
        """The round that takes what was chosen, which is marked as used."""
        settings, parent = self._settings, champion(self._con)
        round_ = 1 + last_round(self._con)
        train = self._write(chosen.train, "train", f"r{round_}-train")
        request = RetrainRequest(
            created_ms=now_ms,
            pool=settings.pool,
            round=round_,
            cluster_id=self._pool.cluster_id,
            topic_id=self._pool.topic_ids.get(RETRAIN),
            parent_id=parent.id,
            parent_hash=parent.hash,
            parent_uri=parent.uri,
            trigger=why,
            selection=settings.selection,
            k=len(chosen.train),
            min_gap=settings.min_gap,
            pool_size=self._count("store.samples"),
            mean_deficit=sum(row.deficit for row in chosen.train) / len(chosen.train),
            origins=count_origins(self._con, train),
            near_held_out=chosen.near_held_out,
            # Of the one not all were looked at, of the other titles were not.
            over_share=max(chosen.over_share, seen.over_share),
            blind_held_out=sum(one.blind for one in chosen.held_out),
            files=[
                train,
                self._write(chosen.held_out, "heldout", f"r{round_}-heldout"),
            ],
        )
        self._drop_wishes()
        mark_used(self._con, chosen.train, round_)
        round_rows.record(self._con, request, "decided")
        return request

    def _write(self, rows: Sequence[Selected], role: Role, name: str) -> ManifestFile:
        path = self._settings.pool_dir / "manifests" / f"{self._settings.pool}-{name}.parquet"
        return write_manifest(self._con, rows, self._pool.schemas, role, path)

    def _wished_for(self, now_ms: int) -> bool:
        """Whether a person asked for a round since the last one began."""
        newest = self._count(
            "store.wishes WHERE kind = 'retrain_requested'", "coalesce(max(created_ms), 0)"
        )
        return newest > max(last_began_ms(self._con), now_ms - WISH_LAPSES_MS)

    def _drop_wishes(self) -> None:
        self._con.execute("DELETE FROM store.wishes WHERE kind = 'retrain_requested'")

    def _count(self, table: str, what: str = "count(*)") -> int:
        row = self._con.execute(f"SELECT {what} FROM {table}").fetchone()
        return int(row[0]) if row else 0


def _missing(seen: Outlook) -> str:
    """Why not even a person's wish can be granted; empty where it can."""
    if not seen.have:
        return "no fresh listing counts for one"
    if seen.held_out < seen.held_out_needed:
        return (
            f"judging needs {seen.held_out_needed} held-out listings and {seen.held_out} are "
            "reviewed; ask again when sellers have reviewed more"
        )
    return ""
