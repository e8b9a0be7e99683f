"""Reports of a pool's shards on `pool.control`: sent about once a second, heard by all workers.

Heard from the end of the topic on: what matters is said again within a second.
"""

import logging
import threading
from collections.abc import Mapping

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition

from schemas.errors import EventError
from schemas.events import decode
from schemas.topic_names import POOL_CONTROL
from streams.errors import ControlLogError
from streams.kafka.publisher import Publisher
from streams.pool.peers import Collect, Peers, ShardReport
from streams.pool.shard import Shard
from streams.settings import StreamsSettings

log = logging.getLogger(__name__)


class ShardTalk:
    """Hears the reports of all shards of the pool, in a daemon thread, and sends those from here.

    Any thread may ask what was heard.
    """

    def __init__(self, settings: StreamsSettings, publisher: Publisher) -> None:
        self._settings = settings
        self._publisher = publisher
        self._heard: Mapping[int, ShardReport] = {}
        self._failure: BaseException | None = None
        threading.Thread(target=self._run, name="shard-talk", daemon=True).start()

    def tell(self, report: ShardReport) -> None:
        """Sends a report. One that does not arrive is followed by the next."""
        self._publisher.send(POOL_CONTROL, report.key(), report.to_bytes())

    def peers(self, shard: Shard) -> Peers:
        """What the others of `shard` said last.

        Raises:
            ControlLogError: the topic cannot be followed any more.
        """
        if self._failure is not None:
            raise ControlLogError(f"{POOL_CONTROL} cannot be followed: {self._failure}")
        reports = [r for n, r in self._heard.items() if n != shard.number and n < shard.count]
        return Peers(tuple(reports), shard.count - 1)

    def asked(self) -> Collect | None:
        """What the conductor collects now."""
        leader = self._heard.get(0)
        return leader.collect if leader else None

    def _run(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._settings.bootstrap_servers,
                "group.id": "listune.shard-talk",  # nothing is joined or committed
                "enable.auto.commit": False,
                "log_level": 2,
            }
        )
        try:
            consumer.assign([TopicPartition(POOL_CONTROL, 0, OFFSET_END)])
            while True:
                message = consumer.poll(1.0)
                if message is None:
                    continue
                if (fault := message.error()) is not None:
                    raise KafkaException(fault)
                self._hear(message.value())
        except Exception as error:
            log.exception("the shards are not heard any more")
            self._failure = error
        finally:
            consumer.close()

    def _hear(self, payload: bytes | None) -> None:
        try:
            report = decode(ShardReport, payload, self._settings.max_event_bytes)
        except EventError as error:
            log.warning("a report on %s is passed over: %s", POOL_CONTROL, error)
            return
        if report.pool == self._settings.pool:
            self._heard = {**self._heard, report.shard: report}
