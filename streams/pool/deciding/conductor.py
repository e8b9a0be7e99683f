"""The one that decides: when a round begins, which adapter is champion, which experiment runs, what
is measured again.

`Conductor.tick` looks at what the pool holds and decides; every effect is an event in the outbox,
written in the transaction of the decision. The state itself changes only when that event comes back
through the control log (`Pool.apply_control`); until then its row in `store.pending` keeps anything
else from being decided. A crash at any point therefore neither loses nor doubles a decision.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

from schemas.events import ManifestFile, ModelEvent, ModelEventKind, RetrainRequest, Trigger
from schemas.topic_names import MODEL_EVENTS, RETRAIN
from serving.pictures.store import PictureStore
from streams.pool import heldout, outbox, outdated, round_rows
from streams.pool.deciding import backfill
from streams.pool.deciding.drift import DriftWatch, rollback_target
from streams.pool.deciding.experiments import Experiments
from streams.pool.deciding.rollout import WISHED, WORKER, Rollout, alias_move
from streams.pool.deciding.selection import Chosen, mark_used, prune, select
from streams.pool.deciding.shadow import Shadows
from streams.pool.deciding.status import status_line
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
from streams.pool.erasure import settle
from streams.pool.manifest import Role, count_origins, write_manifest
from streams.pool.selected import Selected
from streams.pool.spread import Shares
from streams.pool.state import (
    Champion,
    OpenRound,
    champion,
    find_adapter,
    fruitless_rounds,
    open_round,
    parent_of,
)
from streams.pool.store import Pool
from streams.pool.trials import Running, running_trials

# A wish for a round that could not be granted for so long, or that a rebuild reads again, lapses.
WISH_LAPSES_MS = 600_000
PRUNE_EVERY_MS = 60_000
# What is to be measured again is looked for in all samples: not after each micro-batch, in vain.
ORDER_EVERY_MS = 1_000
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


class Conductor:
    """Trigger and champion alias have this one writer."""

    def __init__(self, pool: Pool, pictures: PictureStore | None = None) -> None:
        """`pictures`: where what was seen of listings is kept; None: nowhere."""
        self.pool = pool
        self._pictures = pictures
        self._settle_ms = 0
        self.con = pool.con
        self.settings = pool.settings
        self._acceptance_fell = AcceptanceDrop(self.con, self.settings)
        self._drift = DriftWatch(self.con, self.settings)
        self._candidates = Candidates(self.con, self.settings)
        self._experiments = Experiments(self.con, self.settings)
        self._shadows = Shadows(self.con, self.settings)
        self._rollout = Rollout(self.con, self.settings)
        self._running = Running()
        self._pruned_ms = self._nothing_stale_ms = 0
        self._last_try = _LastTry()

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
            self._decide_and_tell(now_ms, lag)
            if now_ms - self._pruned_ms >= PRUNE_EVERY_MS:
                age_ms = self.settings.pool_max_age_hours * 3_600_000
                kept, most = self.settings.pool_max_rows, self.settings.heldout_most
                shares = Shares.among_trained(self.settings), Shares.among_judges(self.settings)
                watched = self._rollout.watched_by()
                prune(self.con, self.settings.selection, kept, age_ms, most, *shares, watched)
                self._pruned_ms = now_ms

    def champion(self) -> Champion:
        """The champion as of the control log."""
        return champion(self.con)

    def status(self) -> str:
        """One line: what the conductor waits for, as of the last tick."""
        row = self.con.execute("SELECT value FROM store.meta WHERE name = 'status'").fetchone()
        return str(row[0]) if row else "starting"

    # ---------------------------------------------------------------------------------- decisions

    def _settle(self, now_ms: int) -> None:
        """Answers for what is forgotten, and erases it."""
        if now_ms < self._settle_ms:
            return
        again_s = settle(self.con, self.settings.pool, self._pictures)
        if again_s is not None:
            self._settle_ms = now_ms + round(1000 * again_s)

    def _decide_and_tell(self, now_ms: int, lag: int) -> None:
        """Decides, and says what it waits for."""
        if not self._count("store.pending"):  # the files of what is decided are not all known yet
            self._settle(now_ms)
        # Of a million listings it takes as long as all the rest: once a tick, and only if need be.
        look = lru_cache(partial(self._look, now_ms))
        judges = partial(self._candidates.judges, now_ms)
        again = lru_cache(partial(next_look, self.con, self.settings, judges))
        # What runs changes only through the log, which no tick reads.
        self._running = running_trials(self.con)
        self._rollout.look(self._running, now_ms)
        if not self._count("store.pending"):
            self._decide(now_ms, look, again, lag)
        self._shadows.order(self.pool.schemas, now_ms, lag)
        alarm = self._drift(now_ms).in_words()
        line = self._rollout.status(now_ms) or status_line(
            self.con, self.settings, now_ms, look, again, lag, alarm
        )
        experiment = self._experiments.status(self._running.experiment, now_ms)
        more = [*self._rollout.watching(), *experiment]
        self._remember_status(" · ".join([line, *more]))

    def _look(self, now_ms: int) -> Outlook:
        fell: Trigger | None = "acceptance" if self._acceptance_fell(now_ms) else None
        if self.settings.drift.action == "round" and self._drift(now_ms).raised:
            fell = "drift"
        tried = self._tried(now_ms)
        return outlook(self.con, self.settings, now_ms, fell, self._candidates, tried)

    def _tried(self, now_ms: int) -> Tried:
        """What the last try found, as long as it is believed."""
        last = self._last_try
        stands = last.champion_hash == self.champion().hash and now_ms < last.until_ms
        return last.found if stands else Tried()

    def _decide(
        self,
        now_ms: int,
        look: Callable[[], Outlook],
        again: Callable[[], NextLook | None],
        lag: int,
    ) -> None:
        """At most one thing a tick; what a person asked for comes first."""
        if self._answer_wish(now_ms) or self._roll_back_on_drift(now_ms):
            return
        if due := self._experiments.due(self._running.experiment, now_ms):
            self._say(due)
            return
        current = open_round(self.con)
        if due := self._rollout.due(current, now_ms):
            self._say(due)
        elif current is not None:
            self._conduct(current, now_ms)
        elif outdated.count(self.con):
            return  # which gaps are the largest is known once all are of the schema in force
        elif lag <= self.settings.small_lag and (
            self._judge_again(now_ms, again()) or self._trigger(now_ms, look)
        ):
            return
        else:
            self._measure_again(now_ms)

    def _measure_again(self, now_ms: int) -> None:
        # A gap that no round will ever look at is not worth an inference.
        if not self._rounds_are_spent() and now_ms - self._nothing_stale_ms >= ORDER_EVERY_MS:
            schemas = self.pool.schemas
            found = backfill.order(
                self.con,
                self.settings,
                schemas,
                self.champion(),
                now_ms,
                lambda: self._candidates.fresh(now_ms).within - self._tried(now_ms).short,
            )
            self._nothing_stale_ms = 0 if found else now_ms

    def _rounds_are_spent(self) -> bool:
        """Whether as many rounds have been as `max_rounds` allows."""
        last = self._count("store.rounds", "coalesce(max(round), 0)")
        return 0 < self.settings.max_rounds <= last

    def _trigger(self, now_ms: int, look: Callable[[], Outlook]) -> bool:
        """Begins a round that is due by `deciding.trigger`, or that a person asks for."""
        settings = self.settings
        wished = self._wished_for_a_round(now_ms)
        if not wished and (
            self._rounds_are_spent() or fruitless_rounds(self.con) >= settings.pause_after
        ):
            return False
        seen = look()
        if wished and (missing := _missing_for_a_round(seen)):
            logger.warning("a round was asked for, but %s", missing)
            self._drop_wishes_for_a_round()
            return False
        why: Trigger | None = "person" if wished else seen.due
        if why is None:
            return False
        # A round that begins early takes what is there.
        k = min(settings.k, seen.have)
        chosen = self._select(k, seen, now_ms)
        least = {"count": seen.need, "person": 1}.get(why, seen.least)
        if len(chosen.train) >= least and len(chosen.held_out) >= seen.held_out_needed:
            self._begin(why, chosen, seen, now_ms)
            return True
        return False

    def _select(self, k: int, seen: Outlook, now_ms: int) -> Chosen:
        """What a round of k would take; where that is less than was seen, it is remembered."""
        settings = self.settings
        chosen = select(
            self.con,
            self.champion().hash,
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
        self._last_try = _LastTry(self.champion().hash, found, now_ms + BELIEVED_MS)
        for listings, why in (
            (chosen.near_held_out, "near-duplicates of held-out ones"),
            (chosen.over_share, "beyond the share of one seller, category or product"),
        ):
            if listings:
                logger.info("%d listings are passed over: %s", listings, why)
        return chosen

    def _begin(self, why: Trigger, chosen: Chosen, seen: Outlook, now_ms: int) -> None:
        settings, parent = self.settings, self.champion()
        round_ = 1 + self._count("store.rounds", "coalesce(max(round), 0)")
        train = self._write(chosen.train, "train", f"r{round_}-train")
        request = RetrainRequest(
            created_ms=now_ms,
            pool=settings.pool,
            round=round_,
            cluster_id=self.pool.cluster_id,
            topic_id=self.pool.topic_ids.get(RETRAIN),
            parent_id=parent.id,
            parent_hash=parent.hash,
            parent_uri=parent.uri,
            trigger=why,
            selection=settings.selection,
            k=len(chosen.train),
            min_gap=settings.min_gap,
            pool_size=self._count("store.samples"),
            mean_deficit=sum(row.deficit for row in chosen.train) / len(chosen.train),
            origins=count_origins(self.con, train),
            near_held_out=chosen.near_held_out,
            # Of the one not all were looked at, of the other titles were not.
            over_share=max(chosen.over_share, seen.over_share),
            blind_held_out=sum(one.blind for one in chosen.held_out),
            files=[
                train,
                self._write(chosen.held_out, "heldout", f"r{round_}-heldout"),
            ],
        )
        self._drop_wishes_for_a_round()
        mark_used(self.con, chosen.train, round_)
        round_rows.record(self.con, request, "decided")
        self._order(request)

    def _judge_again(self, now_ms: int, again: NextLook | None) -> bool:
        """Orders a further look at the challenger once enough listings are new to it."""
        if again is None or again.waits_for:
            return False
        waiting = again.challenger
        settings, shares = self.settings, Shares.among_judges(self.settings)
        held_out = heldout.newest(self.con, settings.heldout_most, shares, settings.heldout_least)
        if held_out:
            look = waiting.look + 1
            file = self._write(held_out, "heldout", f"r{waiting.round}-look{look}-heldout")
            self._order(
                waiting.request.model_copy(
                    update={
                        "look": look,
                        "created_ms": now_ms,
                        "files": [file],
                        "blind_held_out": sum(one.blind for one in held_out),
                    }
                )
            )
        return True

    def _write(self, rows: Sequence[Selected], role: Role, name: str) -> ManifestFile:
        path = self.settings.pool_dir / "manifests" / f"{self.settings.pool}-{name}.parquet"
        return write_manifest(self.con, rows, self.pool.schemas, role, path)

    def _conduct(self, current: OpenRound, now_ms: int) -> None:
        """Ends a lease that ran out, tries a failed round again."""
        if current.state in ("training", "judging") and 0 < current.lease_until_ms < now_ms:
            self._say(
                ModelEvent(
                    created_ms=now_ms,
                    kind=ModelEventKind.FAILED,
                    pool=self.settings.pool,
                    round=current.round,
                    attempt=current.attempt,
                    look=current.look,
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
        if about_canary := self._rollout.wished(event_id, kind, adapter_id, now_ms):
            self._say(about_canary)
            return True
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
        moved = ModelEventKind.ROLLED_BACK if rollback else ModelEventKind.PROMOTED
        details = {"wish": event_id}
        self._say(alias_move(self.settings.pool, moved, now_live, target, now_ms, WISHED, details))
        return True

    def _roll_back_on_drift(self, now_ms: int) -> bool:
        """Moves the alias back to the champion's parent where the alarm asks for it."""
        if self.settings.drift.action != "rollback" or not self._drift(now_ms).raised:
            return False
        target = rollback_target(self.con)
        if target is None:
            return False
        alarm, now_live = self._drift(now_ms), self.champion()
        figures = {
            "drift_reference": alarm.reference,
            "drift_now": alarm.now,
            "drift_sellers": alarm.n,
        }
        moved = ModelEventKind.ROLLED_BACK
        why = alarm.in_words()
        self._say(alias_move(self.settings.pool, moved, now_live, target, now_ms, why, figures))
        return True

    def _wished_for_a_round(self, now_ms: int) -> bool:
        """Whether a person asked for a round since the last one began."""
        newest = self._count(
            "store.wishes WHERE kind = 'retrain_requested'", "coalesce(max(created_ms), 0)"
        )
        return newest > max(last_began_ms(self.con), now_ms - WISH_LAPSES_MS)

    def _drop_wishes_for_a_round(self) -> None:
        self.con.execute("DELETE FROM store.wishes WHERE kind = 'retrain_requested'")

    # ------------------------------------------------------------------------------------ effects

    def _order(self, request: RetrainRequest) -> None:
        """Sends an attempt at a round, or a look; the event in `training.retrain` is its commit
        point."""
        outbox.add(self.con, RETRAIN, request.pool, request)
        identity = round_rows.round_id(request.pool, request.round, request.attempt, request.look)
        self._await(identity)

    def _say(self, event: ModelEvent) -> None:
        outbox.add(self.con, MODEL_EVENTS, event.key(), event)
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


def _missing_for_a_round(seen: Outlook) -> str:
    """Why not even a person's wish can be granted; empty where it can."""
    if not seen.have:
        return "no fresh listing counts for one"
    if seen.held_out < seen.held_out_needed:
        return (
            f"judging needs {seen.held_out_needed} held-out listings and {seen.held_out} are "
            "reviewed; ask again when sellers have reviewed more"
        )
    return ""
