"""The one that decides: when a round begins, which adapter is champion, what is measured again.

`Conductor.tick` looks at what the pool holds and decides; every effect is an event in the outbox,
written in the transaction of the decision. The state itself changes only when that event comes back
through the control log (`Pool.apply_control`); until then its row in `store.pending` keeps anything
else from being decided. A crash at any point therefore neither loses nor doubles a decision.
"""

import logging

from schemas.events import ModelEvent, ModelEventKind, RetrainRequest, Trigger, new_id
from streams.pool import backfill, outbox
from streams.pool.forgetting import settle
from streams.pool.rounds import record_round, round_id
from streams.pool.selection import mark_used, prune, select, write_manifest
from streams.pool.state import (
    Champion,
    OpenRound,
    champion,
    find_adapter,
    fruitless_rounds,
    open_round,
    parent_of,
)
from streams.pool.status import status_line
from streams.pool.store import Pool
from streams.pool.trigger import AcceptanceDrop, last_began_ms, outlook

RETRAIN_TOPIC = "training.retrain"
EVENTS_TOPIC = "model.events"
# A wish for a round that could not be granted for so long, or that a rebuild reads again, lapses.
WISH_LAPSES_MS = 600_000
PRUNE_EVERY_MS = 60_000
# What is to be measured again is looked for in all samples: not after each micro-batch, in vain.
ORDER_EVERY_MS = 1_000
WORKER = "conductor"

logger = logging.getLogger("listune.conductor")


class Conductor:
    """Trigger and champion alias have this one writer."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.con = pool.con
        self.settings = pool.settings
        self._acceptance_fell = AcceptanceDrop(self.con, self.settings)
        self._pruned_ms = self._nothing_stale_ms = 0

    def tick(self, now_ms: int, lag: int, caught_up: bool) -> None:
        """Decides whatever is due. Call it after each micro-batch, and at least every second.

        Args:
            now_ms: the time, by which leases and orders expire.
            lag: records that wait on the payload topics.
            caught_up: whether payload and control topics have been read up to the end that they had
                at start. Before that nothing is decided, so that a replay decides nothing.
        """
        if not caught_up:
            return
        with self.pool.transaction():
            settle(self.con, self.settings.pool)
            if not self._count("store.pending"):
                self._decide(now_ms, lag)
            if now_ms - self._pruned_ms >= PRUNE_EVERY_MS:
                age_ms = self.settings.pool_max_age_hours * 3_600_000
                kept = self.settings.pool_max_rows
                prune(self.con, self.settings.selection, kept, age_ms)
                self._pruned_ms = now_ms
            fell = self._acceptance_fell(now_ms)
            self._remember_status(status_line(self.con, self.settings, now_ms, lag, fell))

    def champion(self) -> Champion:
        """The champion as of the control log."""
        return champion(self.con)

    def status(self) -> str:
        """One line: what the conductor waits for, as of the last tick."""
        row = self.con.execute("SELECT value FROM store.meta WHERE name = 'status'").fetchone()
        return str(row[0]) if row else "starting"

    # ---------------------------------------------------------------------------------- decisions

    def _decide(self, now_ms: int, lag: int) -> None:
        """At most one thing a tick; what a person asked for comes first."""
        if self._answer_wish(now_ms):
            return
        current = open_round(self.con)
        if current is not None:
            self._conduct(current, now_ms)
        elif lag <= self.settings.small_lag and self._trigger(now_ms):
            return
        elif not self._rounds_are_spent() and now_ms - self._nothing_stale_ms >= ORDER_EVERY_MS:
            # A gap that no round will ever look at is not worth an inference.
            found = backfill.order(self.con, self.settings, self.champion(), now_ms)
            self._nothing_stale_ms = 0 if found else now_ms

    def _rounds_are_spent(self) -> bool:
        """Whether as many rounds have been as `max_rounds` allows."""
        last = self._count("store.rounds", "coalesce(max(round), 0)")
        return 0 < self.settings.max_rounds <= last

    def _trigger(self, now_ms: int) -> bool:
        """Begins a round that is due (`streams.pool.trigger`), or that a person asks for."""
        settings = self.settings
        wished = self._wished_for_a_round(now_ms)
        if not wished and (
            self._rounds_are_spent() or fruitless_rounds(self.con) >= settings.pause_after
        ):
            return False
        seen = outlook(self.con, settings, now_ms, self._acceptance_fell(now_ms))
        if wished and not seen.have:
            logger.warning("a round was asked for, but no fresh listing counts for one")
            return False
        why = "person" if wished else seen.due
        if why is None:
            return False
        # A round that begins early takes what is there, with the same share for validation.
        have, need = seen.have, seen.need
        v = settings.v if have >= need else min(settings.v * have // need, have - 1)
        self._begin(why, min(settings.k, have - v), v, now_ms)
        return True

    def _begin(self, why: Trigger, k: int, v: int, now_ms: int) -> None:
        settings, parent = self.settings, self.champion()
        round_ = 1 + self._count("store.rounds", "coalesce(max(round), 0)")
        chosen = select(self.con, parent.hash, k, v, settings.selection, settings.min_gap)
        directory = settings.pool_dir / "manifests"
        files = write_manifest(
            self.con, chosen, self.pool.schemas, directory, settings.pool, round_
        )
        request = RetrainRequest(
            created_ms=now_ms,
            pool=settings.pool,
            round=round_,
            parent_id=parent.id,
            parent_hash=parent.hash,
            parent_uri=parent.uri,
            trigger=why,
            selection=settings.selection,
            k=k,
            v=v,
            min_gap=settings.min_gap,
            pool_size=self._count("store.samples"),
            mean_deficit=sum(row.deficit for row in chosen) / len(chosen),
            files=files,
        )
        mark_used(self.con, chosen, round_)
        record_round(self.con, request, "decided")
        self._order(request)

    def _conduct(self, current: OpenRound, now_ms: int) -> None:
        """Answers a proposal, ends a lease that ran out, tries a failed round again."""
        if current.state == "proposed" and current.proposal is not None:
            stands = current.parent_hash == self.champion().hash
            answer = {
                "event_id": new_id(),
                "created_ms": now_ms,
                "kind": ModelEventKind.PROMOTED if stands else ModelEventKind.SUPERSEDED,
                "worker": WORKER,
                "reason": None if stands else "its parent is no longer champion",
            }
            self._say(current.proposal.model_copy(update=answer))
        elif current.state == "training" and current.lease_until_ms < now_ms:
            self._say(
                ModelEvent(
                    created_ms=now_ms,
                    kind=ModelEventKind.FAILED,
                    pool=self.settings.pool,
                    round=current.round,
                    attempt=current.attempt,
                    worker=WORKER,
                    reason="lease_expired",
                )
            )
        elif current.state == "failed" and current.request is not None:
            again = {"attempt": current.attempt + 1, "created_ms": now_ms}
            self._order(current.request.model_copy(update=again))

    def _answer_wish(self, now_ms: int) -> bool:
        """Moves the alias where a person asked for it and the adapter is known and published."""
        wish = self.con.execute(
            "DELETE FROM store.wishes WHERE event_id = (SELECT event_id FROM store.wishes "
            "WHERE kind <> 'retrain_requested' ORDER BY created_ms, event_id LIMIT 1) "
            "RETURNING event_id, kind, adapter_id"
        ).fetchone()
        if wish is None:
            return False
        event_id, kind, adapter_id = wish
        rollback = kind == ModelEventKind.ROLLBACK_REQUESTED
        now_live = self.champion()
        if adapter_id is None and rollback:
            adapter_id = parent_of(self.con, now_live.hash)
        target = find_adapter(self.con, adapter_id) if adapter_id else None
        if target is None or target == now_live:
            logger.warning(
                "%s of adapter %s refused: it is %s",
                kind,
                adapter_id,
                "champion already" if target else "not known as published; see the view `models`",
            )
            return False
        self._say(
            ModelEvent(
                created_ms=now_ms,
                kind=ModelEventKind.ROLLED_BACK if rollback else ModelEventKind.PROMOTED,
                pool=self.settings.pool,
                round=0,
                adapter_id=target.id,
                adapter_hash=target.hash,
                adapter_uri=target.uri,
                worker=WORKER,
                reason="a person asked for it",
                details={"wish": event_id},
            )
        )
        return True

    def _wished_for_a_round(self, now_ms: int) -> bool:
        """Whether a person asked for a round since the last one began."""
        wishes = self.con.execute(
            "DELETE FROM store.wishes WHERE kind = 'retrain_requested' RETURNING created_ms"
        ).fetchall()
        began = last_began_ms(self.con)
        return any(ms > began and ms > now_ms - WISH_LAPSES_MS for (ms,) in wishes)

    # ------------------------------------------------------------------------------------ effects

    def _order(self, request: RetrainRequest) -> None:
        """Sends an attempt at a round; the event in `training.retrain` is its commit point."""
        outbox.add(self.con, RETRAIN_TOPIC, request.pool, request)
        self._await(round_id(request.pool, request.round, request.attempt))

    def _say(self, event: ModelEvent) -> None:
        outbox.add(self.con, EVENTS_TOPIC, event.key(), event)
        self._await(event.event_id)

    def _await(self, event_id: str) -> None:
        self.con.execute("INSERT INTO store.pending VALUES (?)", [event_id])

    def _remember_status(self, line: str) -> None:
        if line != self.status():
            logger.info("%s", line)
            self.con.execute("INSERT OR REPLACE INTO store.meta VALUES ('status', ?)", [line])

    def _count(self, table: str, what: str = "count(*)") -> int:
        row = self.con.execute(f"SELECT {what} FROM {table}").fetchone()
        return int(row[0]) if row else 0
