"""What the tests of this room share: waiting, reading topics, real worker processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from streams.faust_app import READY_FILE
from streams.settings import StreamsSettings
from streams.topics import admin_client, ensure_topics, topic_specs

WORKER = Path(__file__).with_name("worker.py")
ROOT = Path(__file__).parents[2]


def recreate_topics(settings: StreamsSettings) -> None:
    admin = admin_client(settings)
    existing = admin.list_topics(timeout=10).topics.keys()
    ours = [spec.name for spec in topic_specs(settings) if spec.name in existing]
    if ours:
        for future in admin.delete_topics(ours).values():
            future.result(10)
    wait_for(lambda: not set(ours) & admin.list_topics(timeout=10).topics.keys())
    ensure_topics(settings)


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Waits until `condition` holds, or fails the test."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def read_all(settings: StreamsSettings, topic: str) -> list[tuple[int, int, bytes, bytes]]:
    """Everything on a topic: (partition, offset, key, value)."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "group.id": "reader",
            "enable.auto.commit": False,
        }
    )
    found = []
    try:
        for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            place = TopicPartition(topic, partition, 0)
            _, end = consumer.get_watermark_offsets(place, timeout=10)
            consumer.assign([place])
            position = 0
            while position < end:
                message = consumer.poll(10)
                assert message is not None
                assert message.error() is None
                position = message.offset() + 1
                found.append((partition, message.offset(), message.key(), message.value()))
    finally:
        consumer.close()
    return found


@dataclass
class Worker:
    """A worker process of this room, started for real."""

    kind: str
    settings: StreamsSettings
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def ready_file(self) -> Path:
        return self.folder / f"{self.kind}.ready"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.kind}.log"

    def start(self, timeout_s: float = 60.0) -> "Worker":
        """Starts it and waits until it says that it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER), self.kind, self.settings.model_dump_json()],
                cwd=ROOT,
                env=os.environ | {READY_FILE: str(self.ready_file)} | self.env,
                stdout=log,
                stderr=log,
            )
        pid = str(self.process.pid)
        wait_for(
            lambda: (
                self.dead() or (self.ready_file.exists() and pid in self.ready_file.read_text())
            ),
            timeout_s,
        )
        assert not self.dead(), self.log.read_text()[-3000:]
        return self

    def dead(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """SIGKILL: what is not on disk or on a topic is lost."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        return self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=15)
