"""Ends a worker that says it is well and does nothing, so that its supervisor starts it anew.

In a thread of its own, which asks Kafka itself, the watchdog looks at two things: whether the event
loop turns, and whether the worker moves in each partition where records wait. What stays the same
for `watchdog_s` hangs. Somebody else's fault is none of the worker's: nothing is judged while Kafka
does not answer, nor where the worker says whom it waits for (`excused`). A worker that is slow and
moves is alive.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import KafkaException

from serving.process.health import Health
from streams.errors import StreamsError, WorkerHangs
from streams.kafka.partitions import Partition
from streams.kafka.topics import admin_client, log_bounds
from streams.metrics import show_lag
from streams.settings import StreamsSettings
from streams.worker import faust_app

log = logging.getLogger(__name__)

LOOK_S = 5.0
KAFKA_S = 5.0
PULSE_S = 0.5
LAST_WORD_S = 3.0
EVENT_LOOP: Partition = ("the event loop", 0)


class Stillness:
    """For how long what ought to move has not. Plain data, no clock."""

    def __init__(self) -> None:
        self._seen: dict[Partition, tuple[int, float]] = {}

    def look(self, due: Mapping[Partition, int], elapsed_s: float) -> dict[Partition, float]:
        """How long each has stood still.

        Args:
            due: what ought to move, and where it is now; what is left out starts again at 0.
            elapsed_s: since the last look.
        """
        seen = self._seen
        self._seen = {
            place: (at, seen[place][1] + elapsed_s if seen.get(place, (None,))[0] == at else 0.0)
            for place, at in due.items()
        }
        return {place: still_s for place, (_, still_s) in self._seen.items()}


class Watchdog:
    """Watches one worker, and shows its lag. Give `pulse` to the app as a task."""

    def __init__(
        self,
        settings: StreamsSettings,
        health: Health,
        topics: Iterable[str],
        positions: Callable[[], Mapping[Partition, int]],
        excused: Callable[[Partition], bool] = lambda _: False,
    ) -> None:
        """Both callables are called from the watchdog's thread, and `positions` may block.

        Args:
            positions: the next offset of each partition that the worker has.
            excused: whether the worker waits for somebody else to go on in that partition.
        """
        self._settings = settings
        self._health = health
        self._topics = tuple(topics)
        self._positions = positions
        self._excused = excused
        self._admin = admin_client(settings)
        self._stillness = Stillness()
        self._lag: dict[Partition, int] = {}
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    async def pulse(self) -> None:
        """Tells that the event loop turns; the first time, begins to watch."""
        self._thread.start()
        while True:
            self._health.turned()
            await asyncio.sleep(PULSE_S)

    def _run(self) -> None:
        patience_s = self._settings.watchdog_s
        interval_s = min(LOOK_S, patience_s / 4) if patience_s else LOOK_S
        last = time.monotonic()
        while True:
            time.sleep(interval_s)
            now = time.monotonic()
            # A process that was stopped and goes on finds much time gone in which it could not.
            elapsed_s, last = min(now - last, 2 * interval_s), now
            for place, still_s in self._stillness.look(self._due(), elapsed_s).items():
                if 0 < patience_s <= still_s:
                    self._end(place, still_s)

    def _due(self) -> dict[Partition, int]:
        """What ought to move, and where it is: the event loop, and partitions with lag."""
        due = {EVENT_LOOP: self._health.turns}
        try:
            positions = self._positions()
            bounds = log_bounds(self._settings, self._topics, KAFKA_S, self._admin)
        except (StreamsError, KafkaException, TimeoutError) as error:
            log.warning("lag is not known: %s", error)
            return due
        # What retention deleted cannot be read any more.
        reading = {p: max(at, bounds[p][0]) for p, at in positions.items() if p in bounds}
        lag = {place: max(0, bounds[place][1] - at) for place, at in reading.items()}
        show_lag(lag, self._lag)
        self._lag = lag
        return due | {p: at for p, at in reading.items() if lag[p] and not self._excused(p)}

    def _end(self, place: Partition, still_s: float) -> None:
        if place == EVENT_LOOP:
            what = f"the event loop has not turned for {still_s:.0f} s"
        else:
            waiting = self._lag[place]
            what = f"{place[0]}[{place[1]}]: {waiting} records wait, none taken for {still_s:.0f} s"
        # What hangs may hold the lock of the log.
        last_word = threading.Timer(LAST_WORD_S, os._exit, (1,))
        last_word.daemon = True
        last_word.start()
        faust_app.crash(WorkerHangs(f"this worker hangs and ends, to be started anew; {what}"))
