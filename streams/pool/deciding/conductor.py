"""The one that decides: when a round begins, which adapter is champion, which experiment runs, what
is measured again.

`Conductor.tick` looks at what the pool holds and decides; every effect is an event in the outbox,
written in the transaction of the decision. The state itself changes only when that event comes back
through the control log (`Pool.apply_control`); until then its row in `store.pending` keeps anything
else from being decided. A crash at any point therefore neither loses nor doubles a decision.
"""

import logging
from collections.abc import Callable
from functools import lru_cache, partial

from schemas.events import ModelEvent, ModelEventKind, RetrainRequest
from schemas.topic_names import MODEL_EVENTS, RETRAIN
from serving.pictures.store import PictureStore
from streams.pool import outbox, outdated, round_rows
from streams.pool.deciding import backfill
from streams.pool.deciding.drift import DriftWatch, rollback_target
from streams.pool.deciding.experiments import Experiments
from streams.pool.deciding.rollout import WISHED, Rollout, alias_move
from streams.pool.deciding.rounds import Rounds
from streams.pool.deciding.selection import prune
from streams.pool.deciding.shadow import Shadows
from streams.pool.deciding.status import status_line
from streams.pool.deciding.trigger import NextLook, Outlook
from streams.pool.erasure import settle
from streams.pool.spread import Shares
from streams.pool.state import Champion, champion, find_adapter, open_round, parent_of
from streams.pool.store import Pool
from streams.pool.trials import Running, running_trials

PRUNE_EVERY_MS = 60_000
# What is to be measured again is looked for in all samples: not after each micro-batch, in vain.
ORDER_EVERY_MS = 1_000

logger = logging.getLogger("listune.conductor")


class Conductor:
    """Trigger and champion alias have this one writer."""

    def __init__(self, pool: Pool, pictures: PictureStore | None = None) -> None:
        """`pictures`: where what was seen of listings is kept; None: nowhere."""
        self.pool = pool
        self._pictures = pictures
        self._settle_ms = 0
        self.con = pool.con
        self.settings = pool.settings
        self._drift = DriftWatch(self.con, self.settings)
        self._rounds = Rounds(pool, self._drift)
        self._experiments = Experiments(self.con, self.settings)
        self._shadows = Shadows(self.con, self.settings)
        self._rollout = Rollout(self.con, self.settings)
        self._running = Running()
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
        if not self._waits():  # the files of what is decided are not all known yet
            self._settle(now_ms)
        # Of a million listings it takes as long as all the rest: once a tick, and only if need be.
        look = lru_cache(partial(self._rounds.look, now_ms))
        again = lru_cache(partial(self._rounds.next_look, now_ms))
        # What runs changes only through the log, which no tick reads.
        self._running = running_trials(self.con)
        self._rollout.look(self._running, now_ms)
        if not self._waits():
            self._decide(now_ms, look, again, lag)
        self._shadows.order(self.pool.schemas, now_ms, lag)
        alarm = self._drift(now_ms).in_words()
        line = self._rollout.status(now_ms) or status_line(
            self.con, self.settings, now_ms, look, again, lag, alarm
        )
        experiment = self._experiments.status(self._running.experiment, now_ms)
        more = [*self._rollout.watching(), *experiment]
        self._remember_status(" · ".join([line, *more]))

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
            if outcome := self._rounds.conduct(current, now_ms):
                self._say(outcome)
        elif outdated.count(self.con):
            return  # which gaps are the largest is known once all are of the schema in force
        elif lag <= self.settings.small_lag and (order := self._order(now_ms, look, again)):
            self._say(order)
        else:
            self._measure_again(now_ms)

    def _order(
        self, now_ms: int, look: Callable[[], Outlook], again: Callable[[], NextLook | None]
    ) -> RetrainRequest | None:
        """A further look at the challenger once enough listings are new to it, else a round."""
        waiting = again()
        if waiting is not None and not waiting.waits_for:
            return self._rounds.look_again(now_ms, waiting)
        return self._rounds.begin(now_ms, look)

    def _measure_again(self, now_ms: int) -> None:
        # A gap that no round will ever look at is not worth an inference.
        if not self._rounds.are_spent() and now_ms - self._nothing_stale_ms >= ORDER_EVERY_MS:
            have = partial(self._rounds.could_take, now_ms)
            found = backfill.order(
                self.con, self.settings, self.pool.schemas, self.champion(), now_ms, have
            )
            self._nothing_stale_ms = 0 if found else now_ms

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

    # ------------------------------------------------------------------------------------ effects

    def _say(self, event: ModelEvent | RetrainRequest) -> None:
        """Puts it out, and waits for it; a `RetrainRequest` is the commit point of its round."""
        if isinstance(event, RetrainRequest):
            topic, key, identity = RETRAIN, event.pool, round_rows.round_id(event)
        else:
            topic, key, identity = MODEL_EVENTS, event.key(), event.event_id
        outbox.add(self.con, topic, key, event)
        self.con.execute("INSERT INTO store.pending VALUES (?)", [identity])

    def _waits(self) -> bool:
        """Whether what was decided has not come back through the log."""
        return self.con.execute("SELECT 1 FROM store.pending LIMIT 1").fetchone() is not None

    def _remember_status(self, line: str) -> None:
        if line != self.status():
            logger.info("%s", line)
            self.con.execute("INSERT OR REPLACE INTO store.meta VALUES ('status', ?)", [line])
