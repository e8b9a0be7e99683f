"""What an adapter on trial would answer, seen before or while sellers get it: shadow orders.

While a challenger waits to be judged again, or a canary runs, a share of the listings that the
champion answered and sellers have reviewed goes to that adapter too, each text at most once. Nobody
sees its answer: the view `shadow` compares it with the champion's and with what was submitted. Such
orders wait behind everything else: none is sent while sellers or orders to measure again wait.
"""

import duckdb

from schemas.category import CategorySchemas
from schemas.events import ListingRequest, Purpose
from schemas.experiment import CANARY_ARM
from streams.pool.deciding import backfill
from streams.pool.state import challenger, champion
from streams.pool.trials import running_canary
from streams.settings import StreamsSettings

# Of the pool's samples the share is looked for so seldom.
LOOK_EVERY_MS = 1_000
# A request that nobody has answered for so long waits no more.
WAITING_MS = 600_000

# The share is chosen by a hash of its own, so that it is neither that of the held-out listings nor
# that of an arm.
_UNSEEN = """
SELECT q.payload, s.pictures FROM store.samples s
JOIN store.requests q USING (request_id)
ANTI JOIN store.samples other
  ON other.listing_id = s.listing_id AND other.adapter_hash = $adapter
ANTI JOIN (FROM store.backfill_orders
           WHERE purpose = 'shadow' AND adapter_hash = $adapter
             AND outcome IS DISTINCT FROM 'superseded') o
  ON o.listing_id = s.listing_id AND o.input_hash = q.input_hash
WHERE s.adapter_hash = $champion AND s.purpose = 'live'
  AND md5_number_lower('shadow:' || s.listing_id) < $share * 18446744073709551616::DOUBLE
ORDER BY s.timestamp_ms DESC, s.listing_id LIMIT $most
"""


class Shadows:
    """Orders what an adapter on trial is to answer, at most once a second."""

    def __init__(self, con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
        self._con = con
        self._settings = settings
        self._next_ms = 0

    def order(self, schemas: CategorySchemas, now_ms: int, lag: int) -> None:
        """Sends as many orders as may be outstanding; `lag`: records that the pool has not read."""
        settings = self._settings
        if not settings.shadow_share or lag > settings.small_lag or now_ms < self._next_ms:
            return
        self._next_ms = now_ms + LOOK_EVERY_MS
        for adapter_hash in on_trial(self._con):
            room = settings.shadow_most - backfill.outstanding(self._con, now_ms, Purpose.SHADOW)
            if room <= 0 or self._others_wait(now_ms):
                return
            rows = self._con.execute(
                _UNSEEN,
                {
                    "adapter": adapter_hash,
                    "champion": champion(self._con).hash,
                    "share": settings.shadow_share,
                    "most": room,
                },
            ).fetchall()
            for payload, pictures in rows:
                live = ListingRequest.model_validate_json(payload)
                schema = schemas.by_any_name[live.category]
                backfill.send(
                    self._con, live, schema, adapter_hash, now_ms, Purpose.SHADOW, pictures
                )

    def _others_wait(self, now_ms: int) -> bool:
        """Whether orders to measure again are out, or more sellers wait than one worker serves."""
        if backfill.outstanding(self._con, now_ms):
            return True
        row = self._con.execute(
            "SELECT count(*) FROM store.requests q "
            "ANTI JOIN store.predictions p ON p.request_id = q.request_id "
            "WHERE q.timestamp_ms > ?",
            [now_ms - WAITING_MS],
        ).fetchone()
        return bool(row and row[0] > self._settings.in_flight)


def on_trial(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The hashes of the adapters that are tried now: the canary's, and the challenger's."""
    found = []
    if canary := running_canary(con):
        found += [arm.adapter_hash for arm in canary.arms if arm.name == CANARY_ARM]
    if waiting := challenger(con):
        found += (
            con.execute(
                "SELECT adapter_hash FROM store.rounds WHERE round = ?", [waiting.round]
            ).fetchone()
            or ()
        )
    return list(dict.fromkeys(hash_ for hash_ in found if hash_))
